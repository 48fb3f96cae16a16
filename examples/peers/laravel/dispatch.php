<?php

use App\Jobs\{Encode, Finish, ImportPage, Publish, SendWelcome};
use App\Models\Order;
use Illuminate\Bus\Batch;
use Illuminate\Support\Facades\{Bus, DB};

// --8<-- [start:dispatch]
SendWelcome::dispatch('+15550100');

SendWelcome::dispatch('+15550100')
    ->delay(now()->addMinutes(10));

Bus::chain([
    new Encode(7),
    new Publish(7),
])->dispatch();

Bus::batch([
    new ImportPage(1),
    new ImportPage(2),
])->allowFailures()->finally(function (Batch $batch) {
    Finish::dispatch();
})->dispatch();
// --8<-- [end:dispatch]

// --8<-- [start:commit]
function placeOrder(int $id, int $total): void
{
    DB::transaction(function () use ($id, $total) {
        Order::create(['id' => $id, 'total' => $total]);
        SendReceipt::dispatch($id)->afterCommit();
    });
}
// --8<-- [end:commit]
