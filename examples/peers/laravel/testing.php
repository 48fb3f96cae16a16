<?php

use App\Jobs\SendReceipt;
use Illuminate\Support\Facades\Queue;

// --8<-- [start:testing]
test('an order brings its receipt', function () {
    Queue::fake();

    placeOrder(7, 120);

    Queue::assertPushed(function (SendReceipt $job) {
        return $job->orderId === 7;
    });
});
// --8<-- [end:testing]
