"""The tables of job frameworks that could not be run, as their published migrations make them: the columns
that the metrics and the tests need."""

from __future__ import annotations

OBAN = """
CREATE TYPE oban_job_state AS ENUM
    ('available', 'suspended', 'scheduled', 'executing', 'retryable', 'completed', 'discarded', 'cancelled');
CREATE TABLE oban_jobs (
    id bigserial PRIMARY KEY,
    state oban_job_state NOT NULL DEFAULT 'available',
    queue text NOT NULL DEFAULT 'default',
    worker text NOT NULL,
    args jsonb NOT NULL,
    inserted_at timestamp NOT NULL DEFAULT timezone('UTC', now()),
    scheduled_at timestamp NOT NULL DEFAULT timezone('UTC', now()),
    attempted_at timestamp
)"""
QUE = """
CREATE TABLE que_jobs (
    priority smallint NOT NULL DEFAULT 100,
    run_at timestamptz NOT NULL DEFAULT now(),
    id bigserial PRIMARY KEY,
    job_class text NOT NULL,
    error_count integer NOT NULL DEFAULT 0,
    queue text NOT NULL DEFAULT 'default',
    finished_at timestamptz,
    expired_at timestamptz
)"""
GOOD_JOB = """
CREATE TABLE good_jobs (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    queue_name text,
    priority integer,
    scheduled_at timestamp,
    performed_at timestamp,
    finished_at timestamp,
    created_at timestamp NOT NULL,
    updated_at timestamp NOT NULL,
    active_job_id uuid
)"""
SOLID_QUEUE = """
CREATE TABLE solid_queue_jobs (
    id bigserial PRIMARY KEY, queue_name varchar NOT NULL, class_name varchar NOT NULL,
    scheduled_at timestamp,
    finished_at timestamp, concurrency_key varchar, created_at timestamp NOT NULL,
    updated_at timestamp NOT NULL
);
CREATE TABLE solid_queue_ready_executions (
    id bigserial PRIMARY KEY, job_id bigint NOT NULL, queue_name varchar NOT NULL,
    created_at timestamp NOT NULL
);
CREATE TABLE solid_queue_scheduled_executions (
    id bigserial PRIMARY KEY, job_id bigint NOT NULL, queue_name varchar NOT NULL,
    scheduled_at timestamp NOT NULL, created_at timestamp NOT NULL
);
CREATE TABLE solid_queue_claimed_executions (
    id bigserial PRIMARY KEY, job_id bigint NOT NULL, process_id bigint, created_at timestamp NOT NULL
);
CREATE TABLE solid_queue_blocked_executions (
    id bigserial PRIMARY KEY, job_id bigint NOT NULL, queue_name varchar NOT NULL,
    concurrency_key varchar NOT NULL, expires_at timestamp NOT NULL, created_at timestamp NOT NULL
);
CREATE TABLE solid_queue_processes (
    id bigserial PRIMARY KEY, kind varchar NOT NULL, last_heartbeat_at timestamp NOT NULL,
    pid integer NOT NULL, created_at timestamp NOT NULL, name varchar NOT NULL
);
CREATE TABLE solid_queue_pauses (
    id bigserial PRIMARY KEY, queue_name varchar NOT NULL, created_at timestamp NOT NULL
)"""
