<?php

use App\Models\Article;
use Illuminate\Support\Facades\Cache;

// --8<-- [start:cache]
$article = Cache::remember('article:7', 600, function () {
    return Article::find(7);
});

Cache::put('rate:eur', '1.08', now()->addMinutes(5));
Cache::increment('views:7');

$page = Cache::flexible('page', [60, 3600], function () {
    return view('page')->render();
});

Cache::tags(['author:3'])->put('feed', $feed, 600);
Cache::tags(['author:3'])->flush();

Cache::lock('report', 10)->block(5, function () {
    // one at a time
});

Cache::forget('article:7');
// --8<-- [end:cache]
