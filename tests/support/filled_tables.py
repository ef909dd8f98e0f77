"""Rows in all tables that grow with the number of users, in the states that retention, queues and lists
distinguish. The id of user n is md5('u' || n), posts have md5('p' || n).
"""

from sqlalchemy import Engine, text

FILL_TABLES = """
insert into users (id, email, username, client_seq)
    select md5('u' || n)::uuid, n || '@example.org', 'u' || n, 400 from generate_series(1, 2000) n;
insert into posts (id, user_id) select md5('p' || n)::uuid, md5('u' || n)::uuid from generate_series(1, 4) n;
insert into likes (post_id, user_id, active, updated_at)
    select md5('p' || p)::uuid, md5('u' || n)::uuid, n % 50 > 0, now() - interval '20 days'
    from generate_series(1, 2000) n, generate_series(1, 4) p;
insert into follows (follower_id, following_id, active, updated_at)
    select md5('u' || n)::uuid, md5('u' || n + p)::uuid, n % 50 > 0, now() - interval '20 days'
    from generate_series(1, 1900) n, generate_series(1, 4) p;
insert into follows (follower_id, following_id, created_at)
    select md5('u' || n)::uuid, md5('u2000')::uuid, now() - n * interval '1 minute'
    from generate_series(1, 1990) n;
insert into comments (post_id, user_id, content, active, updated_at)
    select md5('p1')::uuid, md5('u' || n % 2000 + 1)::uuid, 'x', n % 50 > 0, now() - interval '20 days'
    from generate_series(1, 5000) n;
insert into notifications (user_id, type, priority, object_id, version, is_read, read_at, removed_at,
        archived_at, updated_at)
    select md5('u' || n % 2000 + 1)::uuid, 'LIKE', 'LOW', md5('p' || n)::uuid, 1, n % 3 = 0,
        case when n % 3 = 0 then now() - make_interval(days => n % 95) end,
        case when n % 100 = 1 then now() - interval '9 days' end,
        case when n % 100 = 1 then now() - make_interval(days => n % 95) end, now() - interval '95 days'
    from generate_series(1, 24000) n;
insert into outbox (user_id, client_seq, client_event, payload, published_at)
    select md5('u' || n % 2000 + 1)::uuid, 400 - n / 2000, 'notification', '{}',
        now() - make_interval(days => n % 92)
    from generate_series(1, 8000) n;
insert into outgoing_messages (user_id, client_seq, notification_id, version, channel, type, critical, status,
        due_at, expires_at, ended_at)
    select md5('u' || n % 2000 + 1)::uuid, n, md5('n' || n)::uuid, 1, 'EMAIL', 'LIKE', false,
        case when n % 3 > 0 then 'delivered' else 'waiting' end, now(), now(),
        case when n % 3 > 0 then now() - make_interval(hours => n % 50) end
    from generate_series(1, 5000) n;
insert into dead_letters (origin, position, reason, status, resolved_at)
    select 'o', n::text, 'r', case when n % 50 = 0 then 'discarded' else 'waiting' end,
        case when n % 50 = 0 then now() - interval '3 days' end from generate_series(1, 5000) n;
insert into kafka_fallback_queue (event_id, shard, seq, topic, payload, processed, processed_at)
    select md5('e' || n)::uuid, 0, n, 't', '{}', n % 50 = 0,
        case when n % 50 = 0 then now() - interval '3 days' end from generate_series(1, 5000) n;
insert into one_time_tokens (user_id, purpose, token_hash, expires_at)
    select md5('u' || n % 2000 + 1)::uuid, 'otp', n::text, now() - make_interval(hours => n % 50)
    from generate_series(1, 5000) n;
insert into sessions (id, user_id, revoked_at)
    select md5('s' || n)::uuid, md5('u' || n % 2000 + 1)::uuid,
        case when n % 50 = 0 then now() - interval '3 days' end from generate_series(1, 5000) n;
insert into refresh_tokens (token_hash, session_id, expires_at, used_at)
    select n || '-' || t, md5('s' || n)::uuid, now() + make_interval(days => n % 30 + t - 3),
        case when t < 2 then now() end
    from generate_series(1, 5000) n, generate_series(1, 2) t;
insert into idempotency_keys (name, body_hash, id_seed, running_until, expires_at)
    select n::text, '', uuidv7(), now(), now() + make_interval(hours => n % 50 - 1)
    from generate_series(1, 5000) n;
insert into removed_accounts (user_id, removed_at)
    select md5('r' || n)::uuid, now() - make_interval(hours => n % 200) from generate_series(1, 5000) n;
insert into posts (id, user_id, created_at)
    select md5('p' || n)::uuid, md5('u' || n % 2000 + 1)::uuid, now() - n * interval '1 minute'
    from generate_series(5, 5000) n;
insert into notification_actors (notification_id, actor_id)
    select id, md5('u' || a)::uuid from notifications, generate_series(1, 2) a;
insert into audit_log (action, created_at)
    select 'a', now() - n * interval '1 hour' from generate_series(1, 5000) n;
insert into bell_subscriptions (subscriber_id, target_user_id)
    select md5('u' || n)::uuid, md5('u' || n + p)::uuid
    from generate_series(1, 1900) n, generate_series(1, 3) p;
insert into blocks (user_id, blocked_user_id)
    select md5('u' || n)::uuid, md5('u' || n + p)::uuid
    from generate_series(1, 1900) n, generate_series(5, 7) p;
insert into mutes (user_id, muted_user_id)
    select md5('u' || n)::uuid, md5('u' || n + p)::uuid
    from generate_series(1, 1900) n, generate_series(5, 7) p;
insert into bookmarks (user_id, post_id)
    select md5('u' || n)::uuid, md5('p' || n + p)::uuid
    from generate_series(1, 1900) n, generate_series(5, 7) p;
insert into known_devices (user_id, browser, operating_system, network)
    select md5('u' || n)::uuid, 'Chrome', 'Linux', p::text
    from generate_series(1, 2000) n, generate_series(1, 3) p;
insert into notification_preferences (user_id) select id from users;
insert into fan_outs (id, kind, audience, actor_id, object_id, seq, event, finished_at)
    select md5('f' || n)::uuid, 'BELL_POST', 'listed', md5('u' || n % 2000 + 1)::uuid, md5('p' || n)::uuid, n,
        '{}', now() from generate_series(1, 5000) n;
insert into fan_out_recipients (fan_out_id, recipient_id)
    select md5('f' || n)::uuid, md5('u' || n % 2000 + 1)::uuid from generate_series(1, 5000) n;
analyze;
"""


def fill_tables(engine: Engine) -> None:
    """The tables must be empty, but for users and what belongs to them. `replica`: without foreign keys."""
    with engine.begin() as conn:
        conn.execute(text("set local statement_timeout = 0"))
        conn.execute(text(f"set local session_replication_role = replica; {FILL_TABLES}"))
