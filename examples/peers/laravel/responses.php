<?php

use App\Models\Article;
use Illuminate\Http\Request;
use Illuminate\Support\Facades\Route;

// --8<-- [start:responses]
Route::get('/articles/{slug}', function (string $slug) {
    $article = Article::firstWhere('slug', $slug);
    abort_if(! $article, 404, 'Article not found');

    return ['data' => $article];
});

Route::post('/articles', function (Request $request) {
    $valid = $request->validate([
        'slug' => ['required', 'regex:/^[a-z0-9-]+$/'],
        'title' => ['required', 'min:3', 'max:200'],
    ]);

    return ['data' => Article::create($valid)];
});
// --8<-- [end:responses]
