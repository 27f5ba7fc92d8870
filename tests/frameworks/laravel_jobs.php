<?php
// The side of Laravel, and its worker: php laravel_jobs.php [worker]. Lines of JSON as in side.py.

require 'Illuminate/Queue/autoload.php';
require 'Illuminate/Redis/autoload.php';
require 'Illuminate/Events/autoload.php';

const QUEUE = 'jobs';
const RETRY_AFTER_S = 4;

function redis(string $url): Redis
{
    $at = parse_url($url);
    $redis = new Redis();
    $redis->connect($at['host'], $at['port']);
    $redis->auth(urldecode($at['pass']));
    $redis->select((int) ltrim($at['path'], '/'));
    return $redis;
}

class Work
{
    public function fire($job, array $data): void
    {
        $books = redis(getenv('JOBS_BOOKS'));
        $books->rPush('started', $data['id'] . ' ' . microtime(true));
        while (!$books->exists('release')) {
            usleep(20000);
        }
        $books->rPush('done', $data['id'] . ' ' . microtime(true));
        $job->delete();
    }
}

class Errors implements Illuminate\Contracts\Debug\ExceptionHandler
{
    public function report(Throwable $e) { fwrite(STDERR, "$e\n"); }
    public function shouldReport(Throwable $e) { return true; }
    public function render($request, Throwable $e) { throw $e; }
    public function renderForConsole($output, Throwable $e) { throw $e; }
}

$at = parse_url(getenv('JOBS_REDIS'));
$capsule = new Illuminate\Queue\Capsule\Manager();
$container = $capsule->getContainer();
$container->instance('redis', new Illuminate\Redis\RedisManager($container, 'phpredis', [
    'options' => ['prefix' => 'laravel_database_'],
    'default' => [
        'host' => $at['host'], 'port' => $at['port'], 'password' => urldecode($at['pass']), 'database' => (int) ltrim($at['path'], '/'),
    ],
]));
$container->instance('events', $events = new Illuminate\Events\Dispatcher($container));
$capsule->addConnection([
    'driver' => 'redis', 'connection' => 'default', 'queue' => QUEUE, 'retry_after' => RETRY_AFTER_S,
], 'default');

if (($argv[1] ?? '') === 'worker') {
    $worker = new Illuminate\Queue\Worker($capsule->getQueueManager(), $events, new Errors(), fn () => false);
    $options = new Illuminate\Queue\WorkerOptions();
    [$options->sleep, $options->maxTries] = [0.2, 5];
    $worker->daemon('default', QUEUE, $options);
    exit(0);
}
$queue = $capsule->getConnection('default');
$ids = 0;
while (($line = fgets(STDIN)) !== false) {
    [$name, $args] = json_decode($line, true);
    for ($i = 0; str_starts_with($name, 'enqueue') && $i < $args[0]; $i++) {
        $data = ['id' => ++$ids];
        $name === 'enqueue' ? $queue->push('Work', $data) : $queue->later($args[1], 'Work', $data);
    }
    if ($name === 'purge') {
        redis(getenv('JOBS_REDIS'))->flushDB();
    }
    echo "null\n";
}
