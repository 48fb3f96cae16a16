<?php

namespace App\Jobs;

use Illuminate\Contracts\Queue\{ShouldBeUnique, ShouldQueue};
use Illuminate\Foundation\Queue\Queueable;
use Illuminate\Queue\Middleware\WithoutOverlapping;

// --8<-- [start:order]
class Reindex implements ShouldQueue, ShouldBeUnique
{
    use Queueable;

    public function __construct(public int $articleId) {}

    public function uniqueId(): string
    {
        return (string) $this->articleId;
    }
}

class Book implements ShouldQueue
{
    use Queueable;

    public function __construct(public int $accountId) {}

    public function middleware(): array
    {
        return [
            (new WithoutOverlapping($this->accountId))
                ->releaseAfter(5)
                ->expireAfter(180),
        ];
    }
}
// --8<-- [end:order]
