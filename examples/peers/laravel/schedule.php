<?php

// --8<-- [start:schedule]
use App\Jobs\SendDigest;
use Illuminate\Support\Facades\Schedule;

Schedule::job(new SendDigest)
    ->weekdays()
    ->at('7:30')
    ->timezone('Europe/Berlin')
    ->onOneServer();

SendDigest::dispatch()->delay(3600);
// --8<-- [end:schedule]
