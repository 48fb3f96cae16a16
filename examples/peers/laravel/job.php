<?php

namespace App\Jobs;

// --8<-- [start:job]
use App\Services\Texting;
use Illuminate\Contracts\Queue\ShouldQueue;
use Illuminate\Foundation\Queue\Queueable;
use Throwable;

class SendWelcome implements ShouldQueue
{
    use Queueable;

    public int $tries = 3;

    public function __construct(
        public string $number,
    ) {}

    public function backoff(): array
    {
        return [1, 5];
    }

    public function handle(Texting $texting): void
    {
        $texting->send($this->number);
    }

    public function failed(?Throwable $exception): void
    {
        // tell somebody
    }
}
// --8<-- [end:job]
