CREATE TABLE alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE approvals (
    request_id character varying NOT NULL,
    kind character varying NOT NULL,
    guarded character varying NOT NULL,
    principal character varying NOT NULL,
    summary text NOT NULL,
    meters integer NOT NULL,
    meters_digest character varying NOT NULL,
    meters_listed text NOT NULL,
    why text NOT NULL,
    asked_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    state character varying NOT NULL,
    decided_by character varying,
    decided_at timestamp with time zone,
    note text
);
CREATE TABLE attempts (
    request_id character varying NOT NULL,
    meter_name character varying NOT NULL,
    begun_at timestamp with time zone NOT NULL
);
CREATE TABLE audit (
    seq bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    request_id character varying,
    entry text NOT NULL,
    hash character varying NOT NULL
);
CREATE TABLE audit_chain (
    number integer NOT NULL,
    base_seq bigint NOT NULL,
    base_hash character varying NOT NULL,
    seq bigint NOT NULL,
    hash character varying NOT NULL
);
CREATE TABLE campaigns (
    campaign_id character varying NOT NULL,
    kind character varying NOT NULL,
    summary text NOT NULL,
    state character varying NOT NULL,
    created_at timestamp with time zone NOT NULL,
    at_once integer
);
CREATE TABLE changed_keys (
    mrid character varying NOT NULL,
    purpose character varying NOT NULL,
    key_id character varying NOT NULL,
    sealed bytea NOT NULL
);
CREATE TABLE commands (
    request_id character varying NOT NULL,
    meter_name character varying NOT NULL,
    "position" integer NOT NULL,
    mrid character varying NOT NULL,
    operation character varying NOT NULL,
    body text NOT NULL,
    lane character varying NOT NULL,
    deadline_at timestamp with time zone NOT NULL,
    ok boolean,
    reply_code character varying,
    level character varying,
    reason text,
    attempted boolean,
    took_ms double precision,
    payload text,
    finished_at timestamp with time zone
);
CREATE TABLE commissioning (
    mrid character varying NOT NULL,
    state character varying NOT NULL,
    request_id character varying NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    steps text NOT NULL
);
CREATE TABLE controls_stop (
    number integer NOT NULL,
    stopped boolean NOT NULL,
    by character varying NOT NULL,
    at timestamp with time zone NOT NULL,
    reason text NOT NULL
);
CREATE TABLE counter_mark (
    number integer NOT NULL,
    store_id character varying NOT NULL,
    steps bigint NOT NULL,
    highest bigint NOT NULL,
    floor bigint NOT NULL,
    identity character varying NOT NULL
);
CREATE TABLE deliveries (
    request_id character varying NOT NULL,
    attempts integer NOT NULL,
    first_failed_at timestamp with time zone NOT NULL,
    last_reason text NOT NULL,
    given_up_at timestamp with time zone
);
CREATE TABLE device_event_changes (
    number integer NOT NULL,
    verb character varying NOT NULL,
    event_id character varying NOT NULL
);
CREATE SEQUENCE device_event_changes_number_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE device_event_changes_number_seq OWNED BY device_event_changes.number;
CREATE TABLE device_event_journal (
    number integer NOT NULL,
    verb character varying NOT NULL,
    event_id character varying NOT NULL
);
CREATE SEQUENCE device_event_journal_number_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE device_event_journal_number_seq OWNED BY device_event_journal.number;
CREATE TABLE device_events (
    event_id character varying NOT NULL,
    mrid character varying NOT NULL,
    meter_name character varying NOT NULL,
    code character varying NOT NULL,
    code_tail character varying NOT NULL,
    source character varying NOT NULL,
    created_at timestamp with time zone NOT NULL,
    by_meter boolean NOT NULL,
    received_at timestamp with time zone NOT NULL,
    secured boolean NOT NULL,
    reason text NOT NULL,
    details text NOT NULL,
    issuer_id character varying,
    issuer_tracking_id character varying,
    alarm character varying,
    closed_at timestamp with time zone
);
CREATE TABLE event_log_marks (
    mrid character varying NOT NULL,
    log character varying NOT NULL,
    seen_at timestamp with time zone NOT NULL,
    read_at timestamp with time zone NOT NULL
);
CREATE TABLE firmware_transfers (
    mrid character varying NOT NULL,
    request_id character varying NOT NULL,
    identifier character varying NOT NULL,
    sha256 character varying NOT NULL,
    stage character varying NOT NULL,
    blocks integer NOT NULL,
    there integer NOT NULL,
    stuck integer NOT NULL,
    refusals integer NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    named character varying
);
CREATE TABLE further_parts (
    request_id character varying NOT NULL,
    number integer NOT NULL,
    octets bytea NOT NULL
);
CREATE TABLE guard_uses (
    request_id character varying NOT NULL,
    guarded character varying NOT NULL,
    scope character varying NOT NULL,
    at timestamp with time zone NOT NULL,
    meters integer NOT NULL
);
CREATE TABLE heartbeat (
    number integer NOT NULL
);
CREATE SEQUENCE heartbeat_number_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE heartbeat_number_seq OWNED BY heartbeat.number;
CREATE TABLE image_parts (
    identifier character varying NOT NULL,
    first_octet integer NOT NULL,
    octets bytea NOT NULL
);
CREATE TABLE images (
    identifier character varying NOT NULL,
    version text NOT NULL,
    version_object character varying NOT NULL,
    size integer NOT NULL,
    sha256 character varying NOT NULL,
    imported_at timestamp with time zone NOT NULL,
    complete boolean NOT NULL
);
CREATE TABLE kept_messages (
    request_id character varying NOT NULL,
    octets bytea NOT NULL,
    in_question boolean NOT NULL
);
CREATE TABLE key_counters (
    key_id character varying NOT NULL,
    next_value bigint NOT NULL,
    tried_from bigint NOT NULL,
    tried_to bigint NOT NULL
);
CREATE TABLE master_data_changes (
    number integer NOT NULL,
    change_id character varying NOT NULL,
    subject character varying NOT NULL,
    verb character varying NOT NULL,
    document text NOT NULL
);
CREATE SEQUENCE master_data_changes_number_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE master_data_changes_number_seq OWNED BY master_data_changes.number;
CREATE TABLE meter_keys (
    mrid character varying NOT NULL,
    purpose character varying NOT NULL,
    key_id character varying NOT NULL,
    sealed bytea NOT NULL
);
CREATE TABLE meter_scalers (
    device character varying NOT NULL,
    scaler_units text NOT NULL
);
CREATE TABLE meter_sources (
    name character varying NOT NULL,
    key_id character varying NOT NULL,
    sealed bytea NOT NULL
);
CREATE TABLE meters (
    mrid character varying NOT NULL,
    name character varying NOT NULL,
    source character varying NOT NULL,
    entry text NOT NULL
);
CREATE TABLE nonces (
    nonce character varying NOT NULL,
    request_id character varying NOT NULL
);
CREATE TABLE owed_again (
    request_id character varying NOT NULL,
    since timestamp with time zone NOT NULL
);
CREATE TABLE published (
    request_id character varying NOT NULL,
    subscriber character varying NOT NULL,
    published_at timestamp with time zone NOT NULL
);
CREATE TABLE quarantine (
    name character varying NOT NULL,
    system_title character varying,
    address character varying NOT NULL,
    first_seen_at timestamp with time zone NOT NULL,
    last_seen_at timestamp with time zone NOT NULL,
    calls integer NOT NULL
);
CREATE TABLE reading_series (
    series_id integer NOT NULL,
    mrid character varying NOT NULL,
    reading_type character varying NOT NULL
);
CREATE SEQUENCE reading_series_series_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE reading_series_series_id_seq OWNED BY reading_series.series_id;
CREATE TABLE reading_values (
    series_id integer NOT NULL,
    "time" bigint NOT NULL,
    value text,
    qualities text NOT NULL,
    received bigint NOT NULL,
    by_meter boolean NOT NULL
)
PARTITION BY RANGE ("time");
CREATE TABLE reading_values_other (
    series_id integer NOT NULL,
    "time" bigint NOT NULL,
    value text,
    qualities text NOT NULL,
    received bigint NOT NULL,
    by_meter boolean NOT NULL
);
CREATE TABLE received_counters (
    device character varying NOT NULL,
    key_id character varying NOT NULL,
    channel character varying NOT NULL,
    lowest_acceptable bigint NOT NULL
);
CREATE TABLE replies (
    request_id character varying NOT NULL,
    parts_taken integer NOT NULL,
    taken_at timestamp with time zone
);
CREATE TABLE requests (
    request_id character varying NOT NULL,
    digest character varying NOT NULL,
    verb character varying NOT NULL,
    noun character varying NOT NULL,
    source character varying,
    partner text NOT NULL,
    query text NOT NULL,
    correlation_id character varying NOT NULL,
    reply_address character varying,
    accepted_at timestamp with time zone NOT NULL,
    deadline_at timestamp with time zone NOT NULL,
    errors text NOT NULL,
    acknowledgement bytea,
    answer bytea,
    result character varying,
    answered_at timestamp with time zone,
    principal character varying,
    principal_by character varying
);
CREATE TABLE schedule_meters (
    schedule_id character varying NOT NULL,
    mrid character varying NOT NULL,
    complete_until timestamp with time zone NOT NULL
);
CREATE TABLE schedule_runs (
    run_id character varying NOT NULL,
    schedule_id character varying NOT NULL,
    due_at timestamp with time zone NOT NULL,
    period_start timestamp with time zone NOT NULL,
    period_end timestamp with time zone NOT NULL,
    deadline_at timestamp with time zone NOT NULL,
    parts integer NOT NULL,
    meters integer NOT NULL,
    delivered integer,
    ended_at timestamp with time zone
);
CREATE TABLE schedules (
    schedule_id character varying NOT NULL,
    name character varying NOT NULL,
    definition text NOT NULL,
    enabled boolean NOT NULL,
    next_due_at timestamp with time zone NOT NULL
);
CREATE TABLE spent_ids (
    number integer NOT NULL,
    request_id character varying NOT NULL,
    accepted_at timestamp with time zone NOT NULL
);
CREATE SEQUENCE spent_ids_number_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE spent_ids_number_seq OWNED BY spent_ids.number;
CREATE TABLE trace_arrivals (
    request_id character varying NOT NULL,
    began_at timestamp with time zone NOT NULL,
    octets bytea NOT NULL
);
CREATE TABLE trace_attempts (
    number integer NOT NULL,
    request_id character varying NOT NULL,
    meter_name character varying NOT NULL,
    began_at timestamp with time zone NOT NULL,
    ok boolean NOT NULL,
    size integer NOT NULL,
    octets bytea NOT NULL
);
CREATE SEQUENCE trace_attempts_number_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE trace_attempts_number_seq OWNED BY trace_attempts.number;
CREATE TABLE usage_point_keys (
    key character varying NOT NULL,
    point_id character varying NOT NULL
);
CREATE TABLE usage_points (
    point_id character varying NOT NULL,
    name character varying NOT NULL,
    document text NOT NULL
);
ALTER TABLE ONLY reading_values ATTACH PARTITION reading_values_other DEFAULT;
ALTER TABLE ONLY device_event_changes ALTER COLUMN number SET DEFAULT nextval('device_event_changes_number_seq'::regclass);
ALTER TABLE ONLY device_event_journal ALTER COLUMN number SET DEFAULT nextval('device_event_journal_number_seq'::regclass);
ALTER TABLE ONLY heartbeat ALTER COLUMN number SET DEFAULT nextval('heartbeat_number_seq'::regclass);
ALTER TABLE ONLY master_data_changes ALTER COLUMN number SET DEFAULT nextval('master_data_changes_number_seq'::regclass);
ALTER TABLE ONLY reading_series ALTER COLUMN series_id SET DEFAULT nextval('reading_series_series_id_seq'::regclass);
ALTER TABLE ONLY spent_ids ALTER COLUMN number SET DEFAULT nextval('spent_ids_number_seq'::regclass);
ALTER TABLE ONLY trace_attempts ALTER COLUMN number SET DEFAULT nextval('trace_attempts_number_seq'::regclass);
INSERT INTO alembic_version VALUES ('0024');
INSERT INTO approvals VALUES ('open', 'request', 'disconnects', 'CIS', 'create EndDeviceControls 3.31.0.23', 1, 'ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff', '["M1001"]', 'protected', '2026-11-20 12:00:00+00', '2026-11-21 12:00:00+00', 'waiting', NULL, NULL, NULL);
INSERT INTO attempts VALUES ('open', 'M1001', '2026-11-20 12:00:00+00');
INSERT INTO audit VALUES (1, '2026-11-20 12:00:00+00', 'answered', '{"asked":"disconnect_control 3.31.0.23","at":"2026-11-20T12:00:00.000000+00:00","by":"header","meters":2,"meters_listed":["M1001","M1002"],"meters_sha256":"64320168fcc2d30d47683347c0819b56fc8e7b5a9937ae5870703fa5a0e7b557","noun":"EndDeviceControls","principal":"CIS","request":"answered","seq":1,"verb":"create","what":"accepted"}', '692e7bac14b2d4983d0c4c1e10dadb2cb26b91fb607749eff5ce54b6e7b186aa');
INSERT INTO audit VALUES (2, '2026-11-20 12:00:01+00', 'owed', '{"asked":"disconnect_control 3.31.0.23","at":"2026-11-20T12:00:01.000000+00:00","by":"header","meters":2,"meters_listed":["M1001","M1002"],"meters_sha256":"64320168fcc2d30d47683347c0819b56fc8e7b5a9937ae5870703fa5a0e7b557","noun":"EndDeviceControls","principal":"CIS","request":"owed","seq":2,"verb":"create","what":"accepted"}', '5f5d4625b38b1941c9d8e6fcba82fd5ef90ed6f769374f7358d25334de56e197');
INSERT INTO audit VALUES (3, '2026-11-20 12:00:02+00', 'open', '{"asked":"disconnect_control 3.31.0.23","at":"2026-11-20T12:00:02.000000+00:00","by":"header","meters":2,"meters_listed":["M1001","M1002"],"meters_sha256":"64320168fcc2d30d47683347c0819b56fc8e7b5a9937ae5870703fa5a0e7b557","noun":"EndDeviceControls","principal":"CIS","request":"open","seq":3,"verb":"create","what":"accepted"}', 'f2a91679ef0e18210400077c952541b4edeebae527822f80c0046a41d0662122');
INSERT INTO audit VALUES (4, '2026-11-20 12:00:00+00', 'answered', '{"at":"2026-11-20T12:00:00.000000+00:00","by":"header","noun":"EndDeviceControls","outcome":"OK","principal":"CIS","reason":"2 of 2 meters OK","request":"answered","seq":4,"verb":"create","what":"ended"}', 'b9de0fd5472b103c0335531d5587692fd2ab21793b7db37dd7898a7c134bb97b');
INSERT INTO audit VALUES (5, '2026-11-20 12:00:00+00', 'owed', '{"at":"2026-11-20T12:00:00.000000+00:00","by":"header","noun":"EndDeviceControls","outcome":"OK","principal":"CIS","reason":"2 of 2 meters OK","request":"owed","seq":5,"verb":"create","what":"ended"}', '2a7114ee717919c96e04aa372ced60062aa988e69cabf11583a76d7fbff9498c');
INSERT INTO audit VALUES (6, '2026-11-20 12:00:05+00', 'old', '{"asked":"disconnect_control 3.31.0.23","at":"2026-11-20T12:00:05.000000+00:00","by":"header","meters":1,"meters_listed":["M1001"],"meters_sha256":"2cc23d5fa0655984ca4a53b06035edcd5623919d3e80c43ade400d1d8d8735af","noun":"EndDeviceControls","principal":"CIS","request":"old","seq":6,"verb":"create","what":"accepted"}', '5ef1659694161bcaf70d86a624142bf820eed7371f451c485dc364548a24ca34');
INSERT INTO audit VALUES (7, '2026-11-19 12:00:00+00', 'old', '{"at":"2026-11-19T12:00:00.000000+00:00","by":"header","noun":"EndDeviceControls","outcome":"OK","principal":"CIS","reason":"1 of 1 meters OK","request":"old","seq":7,"verb":"create","what":"ended"}', 'df4e7a2171802e47e37c5de9e7ae28b77b23c51ea5a1490c187289a1bf033767');
INSERT INTO audit VALUES (8, '2026-11-20 12:00:00+00', 'open', '{"asked":"create EndDeviceControls 3.31.0.23","at":"2026-11-20T12:00:00.000000+00:00","by":"header","meters":1,"meters_listed":["M1001"],"meters_sha256":"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff","principal":"CIS","reason":"protected","request":"open","seq":8,"what":"approval-wanted"}', 'cff6a361cc31601379bb4baf50070685551451908a68cc760ef767237f39618d');
INSERT INTO audit VALUES (9, '2026-11-20 12:00:00+00', NULL, '{"at":"2026-11-20T12:00:00.000000+00:00","by":"bearer","principal":"Ada","reason":"drill","seq":9,"what":"controls-stopped"}', 'e411a77f893851eb6f039124db9280895f15b106a4bad281b9b1cc142d0d6cb1');
INSERT INTO audit VALUES (10, '2026-11-20 12:00:00+00', NULL, '{"at":"2026-11-20T12:00:00.000000+00:00","by":"bearer","principal":"Ada","reason":"drill","seq":10,"what":"controls-resumed"}', '33d523d759f7d525be7d1d2b1e350f6f2fdc2344dd2a2a4ff02d132e5a709285');
INSERT INTO audit_chain VALUES (1, 0, '0000000000000000000000000000000000000000000000000000000000000000', 10, '33d523d759f7d525be7d1d2b1e350f6f2fdc2344dd2a2a4ff02d132e5a709285');
INSERT INTO campaigns VALUES ('open', 'keys', 'roll encryption keys', 'paused', '2026-11-20 12:00:00+00', 7);
INSERT INTO changed_keys VALUES ('00000000-0000-4000-8000-000000001001', 'sent encryption_key', 'a master key', '\x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b');
INSERT INTO commands VALUES ('answered', 'M1001', 0, '00000000-0000-4000-8000-000000001001', 'disconnect_control', '3.31.0.23', 'control', '2026-11-20 12:00:30+00', true, NULL, NULL, 'disconnected', true, 12.5, '{"before": "connected"}', '2026-11-20 12:00:00+00');
INSERT INTO commands VALUES ('answered', 'M1002', 1, '00000000-0000-4000-8000-000000001002', 'disconnect_control', '3.31.0.23', 'control', '2026-11-20 12:00:30+00', true, NULL, NULL, 'disconnected', true, 12.5, '{"before": "connected"}', '2026-11-20 12:00:00+00');
INSERT INTO commands VALUES ('owed', 'M1001', 0, '00000000-0000-4000-8000-000000001001', 'disconnect_control', '3.31.0.23', 'control', '2026-11-20 12:00:31+00', true, NULL, NULL, 'disconnected', true, 12.5, '{"before": "connected"}', '2026-11-20 12:00:00+00');
INSERT INTO commands VALUES ('owed', 'M1002', 1, '00000000-0000-4000-8000-000000001002', 'disconnect_control', '3.31.0.23', 'control', '2026-11-20 12:00:31+00', true, NULL, NULL, 'disconnected', true, 12.5, '{"before": "connected"}', '2026-11-20 12:00:00+00');
INSERT INTO commands VALUES ('open', 'M1001', 0, '00000000-0000-4000-8000-000000001001', 'disconnect_control', '3.31.0.23', 'control', '2026-11-20 12:00:32+00', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO commands VALUES ('open', 'M1002', 1, '00000000-0000-4000-8000-000000001002', 'disconnect_control', '3.31.0.23', 'control', '2026-11-20 12:00:32+00', true, NULL, NULL, 'disconnected', true, 12.5, '{"before": "connected"}', '2026-11-20 12:00:00+00');
INSERT INTO commissioning VALUES ('00000000-0000-4000-8000-000000001001', 'failed', 'open', '2026-11-20 12:00:00+00', '[["identity", "done", "LDN1"], ["clock", "failed", "no"]]');
INSERT INTO controls_stop VALUES (1, false, 'Ada', '2026-11-20 12:00:00+00', 'drill');
INSERT INTO counter_mark VALUES (1, '0001020304050607', 3, 300, 0, '- 4711');
INSERT INTO deliveries VALUES ('owed', 1, '2026-11-20 12:00:00+00', 'connection refused', NULL);
INSERT INTO device_event_changes VALUES (1, 'created', '00000000-0000-4000-8000-000000008001');
INSERT INTO device_event_journal VALUES (1, 'created', '00000000-0000-4000-8000-000000008001');
INSERT INTO device_events VALUES ('00000000-0000-4000-8000-000000008001', '00000000-0000-4000-8000-000000001001', 'M1001', '0.12.0.257', '12.0.257', 'alarm', '2026-11-20 12:00:00+00', true, '2026-11-20 12:00:02+00', true, 'fraud attempt', '[["bit", "13"]]', NULL, NULL, '0-0:97.98.0*255/13', NULL);
INSERT INTO event_log_marks VALUES ('00000000-0000-4000-8000-000000001001', '0-0:99.98.1*255', '2026-11-20 12:00:00+00', '2026-11-20 12:00:00+00');
INSERT INTO firmware_transfers VALUES ('00000000-0000-4000-8000-000000001001', 'open', 'fw-2', 'bce0aff19cf5aa6a7469a30d61d04e4376e4bbf6381052ee9e7f33925c954d52', 'transferring', 4, 3, 0, 0, '2026-11-20 12:00:00+00', '5632');
INSERT INTO further_parts VALUES ('answered', 2, '\x3c706172742f3e');
INSERT INTO further_parts VALUES ('owed', 2, '\x3c706172742f3e');
INSERT INTO heartbeat VALUES (1);
INSERT INTO image_parts VALUES ('fw-2', 0, '\x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b');
INSERT INTO image_parts VALUES ('fw-2', 60, '\x3c3d3e3f404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f60616263');
INSERT INTO images VALUES ('fw-2', '2.0', '1-0:0.2.0*255', 100, 'bce0aff19cf5aa6a7469a30d61d04e4376e4bbf6381052ee9e7f33925c954d52', '2026-11-20 12:00:00+00', true);
INSERT INTO kept_messages VALUES ('open', '\x3c6d657373616765206f663d276f70656e272f3e', false);
INSERT INTO key_counters VALUES ('key of two meters', 300, 0, 0);
INSERT INTO key_counters VALUES ('another key', 8, 0, 0);
INSERT INTO master_data_changes VALUES (1, '00000000-0000-4000-8000-000000009101', 'usage-point', 'created', '{"tags": {}}');
INSERT INTO meter_keys VALUES ('00000000-0000-4000-8000-000000001001', 'encryption_key', 'a master key', '\x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b');
INSERT INTO meter_keys VALUES ('00000000-0000-4000-8000-000000001001', 'secret', 'a master key', '\x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223');
INSERT INTO meter_scalers VALUES ('LDN1', '3 1-0:1.8.0*255 3 0 30; 3 1-0:2.8.0*255 3 0 30');
INSERT INTO meter_sources VALUES ('a.json', 'a master key', '\x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b');
INSERT INTO meters VALUES ('00000000-0000-4000-8000-000000001001', 'M1001', 'a.json', '{"name": "M1001"}');
INSERT INTO meters VALUES ('00000000-0000-4000-8000-000000001002', 'M1002', 'import', '{"name": "M1002"}');
INSERT INTO nonces VALUES ('nonce of answered', 'answered');
INSERT INTO nonces VALUES ('nonce of owed', 'owed');
INSERT INTO nonces VALUES ('nonce of open', 'open');
INSERT INTO owed_again VALUES ('event', '2026-11-20 13:00:00+00');
INSERT INTO published VALUES ('event', 'mdm', '2026-11-20 12:00:00+00');
INSERT INTO quarantine VALUES ('XYZ0000000007001', '58595a0000001b59', '192.0.2.9:40000', '2026-11-20 12:00:00+00', '2026-11-20 13:00:00+00', 3);
INSERT INTO reading_series VALUES (1, '00000000-0000-4000-8000-000000001001', '0.0.2.1.1.1.12.0.0.0.0.0.0.0.0.0.72.0');
INSERT INTO reading_values_other VALUES (1, 900000, '4711.10', '1.0.0 1.4.16', 5, true);
INSERT INTO reading_values_other VALUES (1, 1800000, NULL, '2.5.259', 6, true);
INSERT INTO received_counters VALUES ('LDN1', 'key of two meters', 'push', 17);
INSERT INTO replies VALUES ('owed', 0, NULL);
INSERT INTO replies VALUES ('event', 0, '2026-11-20 13:00:00+00');
INSERT INTO requests VALUES ('answered', 'digest of answered', 'create', 'EndDeviceControls', 'CIS', '{}', '', 'answered-correlation', NULL, '2026-11-20 12:00:00+00', '2026-11-20 12:00:30+00', '[]', NULL, '\x3c616e73776572206f663d27616e737765726564272f3e', 'OK', '2026-11-20 12:00:00+00', 'CIS', 'header');
INSERT INTO requests VALUES ('owed', 'digest of owed', 'create', 'EndDeviceControls', 'CIS', '{}', '', 'owed-correlation', 'http://127.0.0.1:9/cim', '2026-11-20 12:00:01+00', '2026-11-20 12:00:31+00', '[]', '\x3c733a456e76656c6f706520786d6c6e733a733d22687474703a2f2f736368656d61732e786d6c736f61702e6f72672f736f61702f656e76656c6f70652f223e3c733a426f64793e3c526573706f6e73654d65737361676520786d6c6e733d22687474703a2f2f6965632e63682f544335372f323031312f736368656d612f6d657373616765222f3e3c2f733a426f64793e3c2f733a456e76656c6f70653e', '\x3c616e73776572206f663d276f776564272f3e', 'OK', '2026-11-20 12:00:00+00', 'CIS', 'header');
INSERT INTO requests VALUES ('open', 'digest of open', 'create', 'EndDeviceControls', 'CIS', '{}', '', 'open-correlation', 'http://127.0.0.1:9/cim', '2026-11-20 12:00:02+00', '2026-11-20 12:00:32+00', '[]', '\x3c733a456e76656c6f706520786d6c6e733a733d22687474703a2f2f736368656d61732e786d6c736f61702e6f72672f736f61702f656e76656c6f70652f223e3c733a426f64793e3c526573706f6e73654d65737361676520786d6c6e733d22687474703a2f2f6965632e63682f544335372f323031312f736368656d612f6d657373616765222f3e3c2f733a426f64793e3c2f733a456e76656c6f70653e', NULL, NULL, NULL, 'CIS', 'header');
INSERT INTO requests VALUES ('event', '', 'created', 'MeterReadings', NULL, '{}', '', '00000000-0000-4000-8000-000000007001', 'http://127.0.0.1:9/cim', '2026-11-20 12:00:00+00', '2026-11-23 12:00:00+00', '[]', NULL, '\x007a6c6962007801edda310a80300c05d01bd9b887dec5219b3869cfafa5a710ded88e9f4ffb02c91a75dd3dc7713ed5f72d22b2ad83bb92cb570a3d90c17c1cf440067ae06fe40346e24456362f98999890099990099990099990099990099990099990099990099990099990099990099990097f63c2b6f6e25e11be528c', 'OK', '2026-11-20 12:00:00+00', NULL, NULL);
INSERT INTO schedule_meters VALUES ('00000000-0000-4000-8000-000000005001', '00000000-0000-4000-8000-000000001001', '2026-11-20 12:00:00+00');
INSERT INTO schedule_runs VALUES ('00000000-0000-4000-8000-000000006001', '00000000-0000-4000-8000-000000005001', '2026-11-19 12:00:00+00', '2026-11-18 12:00:00+00', '2026-11-19 12:00:00+00', '2026-11-19 13:00:00+00', 1, 2, NULL, NULL);
INSERT INTO schedules VALUES ('00000000-0000-4000-8000-000000005001', 'daily', '{"at": "00:30"}', true, '2026-11-20 12:00:00+00');
INSERT INTO spent_ids VALUES (1, 'old', '2026-11-20 12:00:05+00');
INSERT INTO trace_arrivals VALUES ('answered', '2026-11-20 12:00:00+00', '\x7061636b6564');
INSERT INTO trace_attempts VALUES (1, 'answered', 'M1001', '2026-11-20 12:00:00+00', true, 6, '\x7061636b6564');
INSERT INTO trace_attempts VALUES (2, 'open', 'M1002', '2026-11-20 12:00:00+00', false, 0, '\x');
INSERT INTO usage_point_keys VALUES ('00000000-0000-4000-8000-000000009001', '00000000-0000-4000-8000-000000009001');
INSERT INTO usage_point_keys VALUES ('house 5', '00000000-0000-4000-8000-000000009001');
INSERT INTO usage_points VALUES ('00000000-0000-4000-8000-000000009001', 'House 5', '{"names": [{"name": "House 5"}]}');
SELECT pg_catalog.setval('device_event_changes_number_seq', 1, true);
SELECT pg_catalog.setval('device_event_journal_number_seq', 1, true);
SELECT pg_catalog.setval('heartbeat_number_seq', 1, false);
SELECT pg_catalog.setval('master_data_changes_number_seq', 1, true);
SELECT pg_catalog.setval('reading_series_series_id_seq', 1, true);
SELECT pg_catalog.setval('spent_ids_number_seq', 1, true);
SELECT pg_catalog.setval('trace_attempts_number_seq', 2, true);
ALTER TABLE ONLY alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY approvals
    ADD CONSTRAINT approvals_pkey PRIMARY KEY (request_id);
ALTER TABLE ONLY attempts
    ADD CONSTRAINT attempts_pkey PRIMARY KEY (request_id, meter_name);
ALTER TABLE ONLY audit_chain
    ADD CONSTRAINT audit_chain_pkey PRIMARY KEY (number);
ALTER TABLE ONLY audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (seq);
ALTER TABLE ONLY campaigns
    ADD CONSTRAINT campaigns_pkey PRIMARY KEY (campaign_id);
ALTER TABLE ONLY changed_keys
    ADD CONSTRAINT changed_keys_pkey PRIMARY KEY (mrid, purpose);
ALTER TABLE ONLY commands
    ADD CONSTRAINT commands_pkey PRIMARY KEY (request_id, meter_name);
ALTER TABLE ONLY commissioning
    ADD CONSTRAINT commissioning_pkey PRIMARY KEY (mrid);
ALTER TABLE ONLY controls_stop
    ADD CONSTRAINT controls_stop_pkey PRIMARY KEY (number);
ALTER TABLE ONLY counter_mark
    ADD CONSTRAINT counter_mark_pkey PRIMARY KEY (number);
ALTER TABLE ONLY deliveries
    ADD CONSTRAINT deliveries_pkey PRIMARY KEY (request_id);
ALTER TABLE ONLY device_event_changes
    ADD CONSTRAINT device_event_changes_pkey PRIMARY KEY (number);
ALTER TABLE ONLY device_event_journal
    ADD CONSTRAINT device_event_journal_pkey PRIMARY KEY (number);
ALTER TABLE ONLY device_events
    ADD CONSTRAINT device_events_pkey PRIMARY KEY (event_id);
ALTER TABLE ONLY event_log_marks
    ADD CONSTRAINT event_log_marks_pkey PRIMARY KEY (mrid, log);
ALTER TABLE ONLY firmware_transfers
    ADD CONSTRAINT firmware_transfers_pkey PRIMARY KEY (mrid);
ALTER TABLE ONLY further_parts
    ADD CONSTRAINT further_parts_pkey PRIMARY KEY (request_id, number);
ALTER TABLE ONLY guard_uses
    ADD CONSTRAINT guard_uses_pkey PRIMARY KEY (request_id, guarded, scope);
ALTER TABLE ONLY heartbeat
    ADD CONSTRAINT heartbeat_pkey PRIMARY KEY (number);
ALTER TABLE ONLY image_parts
    ADD CONSTRAINT image_parts_pkey PRIMARY KEY (identifier, first_octet);
ALTER TABLE ONLY images
    ADD CONSTRAINT images_pkey PRIMARY KEY (identifier);
ALTER TABLE ONLY kept_messages
    ADD CONSTRAINT kept_messages_pkey PRIMARY KEY (request_id);
ALTER TABLE ONLY key_counters
    ADD CONSTRAINT key_counters_pkey PRIMARY KEY (key_id);
ALTER TABLE ONLY master_data_changes
    ADD CONSTRAINT master_data_changes_pkey PRIMARY KEY (number);
ALTER TABLE ONLY meter_keys
    ADD CONSTRAINT meter_keys_pkey PRIMARY KEY (mrid, purpose);
ALTER TABLE ONLY meter_scalers
    ADD CONSTRAINT meter_scalers_pkey PRIMARY KEY (device);
ALTER TABLE ONLY meter_sources
    ADD CONSTRAINT meter_sources_pkey PRIMARY KEY (name);
ALTER TABLE ONLY meters
    ADD CONSTRAINT meters_name_key UNIQUE (name);
ALTER TABLE ONLY meters
    ADD CONSTRAINT meters_pkey PRIMARY KEY (mrid);
ALTER TABLE ONLY nonces
    ADD CONSTRAINT nonces_pkey PRIMARY KEY (nonce);
ALTER TABLE ONLY owed_again
    ADD CONSTRAINT owed_again_pkey PRIMARY KEY (request_id);
ALTER TABLE ONLY published
    ADD CONSTRAINT published_pkey PRIMARY KEY (request_id);
ALTER TABLE ONLY quarantine
    ADD CONSTRAINT quarantine_pkey PRIMARY KEY (name);
ALTER TABLE ONLY reading_series
    ADD CONSTRAINT reading_series_pkey PRIMARY KEY (series_id);
ALTER TABLE ONLY reading_values
    ADD CONSTRAINT reading_values_pkey PRIMARY KEY (series_id, "time");
ALTER TABLE ONLY reading_values_other
    ADD CONSTRAINT reading_values_other_pkey PRIMARY KEY (series_id, "time");
ALTER TABLE ONLY received_counters
    ADD CONSTRAINT received_counters_pkey PRIMARY KEY (device, key_id, channel);
ALTER TABLE ONLY replies
    ADD CONSTRAINT replies_pkey PRIMARY KEY (request_id);
ALTER TABLE ONLY requests
    ADD CONSTRAINT requests_pkey PRIMARY KEY (request_id);
ALTER TABLE ONLY schedule_meters
    ADD CONSTRAINT schedule_meters_pkey PRIMARY KEY (schedule_id, mrid);
ALTER TABLE ONLY schedule_runs
    ADD CONSTRAINT schedule_runs_pkey PRIMARY KEY (run_id);
ALTER TABLE ONLY schedules
    ADD CONSTRAINT schedules_name_key UNIQUE (name);
ALTER TABLE ONLY schedules
    ADD CONSTRAINT schedules_pkey PRIMARY KEY (schedule_id);
ALTER TABLE ONLY spent_ids
    ADD CONSTRAINT spent_ids_pkey PRIMARY KEY (number);
ALTER TABLE ONLY spent_ids
    ADD CONSTRAINT spent_ids_request_id_key UNIQUE (request_id);
ALTER TABLE ONLY trace_arrivals
    ADD CONSTRAINT trace_arrivals_pkey PRIMARY KEY (request_id);
ALTER TABLE ONLY trace_attempts
    ADD CONSTRAINT trace_attempts_pkey PRIMARY KEY (number);
ALTER TABLE ONLY usage_point_keys
    ADD CONSTRAINT usage_point_keys_pkey PRIMARY KEY (key);
ALTER TABLE ONLY usage_points
    ADD CONSTRAINT usage_points_pkey PRIMARY KEY (point_id);
CREATE INDEX approvals_by_state ON approvals USING btree (state, expires_at);
CREATE INDEX audit_by_at ON audit USING btree (at);
CREATE INDEX audit_by_request ON audit USING btree (request_id);
CREATE INDEX commands_by_finished_at ON commands USING btree (finished_at, request_id);
CREATE INDEX commands_by_meter_name ON commands USING btree (meter_name);
CREATE INDEX commands_by_mrid ON commands USING btree (mrid);
CREATE INDEX deliveries_by_first_failed_at ON deliveries USING btree (first_failed_at);
CREATE INDEX deliveries_by_given_up_at ON deliveries USING btree (given_up_at, request_id);
CREATE INDEX device_event_journal_by_event ON device_event_journal USING btree (event_id);
CREATE INDEX device_events_by_meter ON device_events USING btree (mrid, created_at);
CREATE INDEX device_events_by_received_at ON device_events USING btree (received_at);
CREATE INDEX device_events_by_time ON device_events USING btree (created_at, event_id);
CREATE INDEX device_events_open_alarms ON device_events USING btree (created_at, event_id) WHERE ((alarm IS NOT NULL) AND (closed_at IS NULL));
CREATE INDEX firmware_transfers_by_request ON firmware_transfers USING btree (request_id);
CREATE INDEX guard_uses_by_at ON guard_uses USING btree (at);
CREATE INDEX guard_uses_by_scope ON guard_uses USING btree (guarded, scope, at);
CREATE INDEX nonces_by_request_id ON nonces USING btree (request_id);
CREATE INDEX published_by_subscriber ON published USING btree (subscriber, published_at);
CREATE UNIQUE INDEX reading_series_by_meter ON reading_series USING btree (mrid, reading_type);
CREATE INDEX reading_values_other_by_time ON reading_values_other USING btree ("time");
CREATE INDEX replies_by_taken_at ON replies USING btree (taken_at);
CREATE INDEX requests_by_accepted_at ON requests USING btree (accepted_at, request_id);
CREATE INDEX requests_by_answered_at ON requests USING btree (answered_at);
CREATE INDEX schedule_runs_by_schedule ON schedule_runs USING btree (schedule_id, due_at);
CREATE INDEX trace_arrivals_by_time ON trace_arrivals USING btree (began_at);
CREATE INDEX trace_attempts_by_request ON trace_attempts USING btree (request_id);
CREATE INDEX trace_attempts_by_time ON trace_attempts USING btree (began_at);
CREATE INDEX usage_point_keys_by_point ON usage_point_keys USING btree (point_id);
CREATE INDEX usage_points_by_name ON usage_points USING btree (name, point_id);
ALTER INDEX reading_values_pkey ATTACH PARTITION reading_values_other_pkey;
ALTER TABLE ONLY attempts
    ADD CONSTRAINT attempts_request_id_meter_name_fkey FOREIGN KEY (request_id, meter_name) REFERENCES commands(request_id, meter_name) ON DELETE CASCADE;
ALTER TABLE ONLY commands
    ADD CONSTRAINT commands_request_id_fkey FOREIGN KEY (request_id) REFERENCES requests(request_id) ON DELETE CASCADE;
ALTER TABLE ONLY deliveries
    ADD CONSTRAINT deliveries_request_id_fkey FOREIGN KEY (request_id) REFERENCES requests(request_id) ON DELETE CASCADE;
ALTER TABLE ONLY device_event_changes
    ADD CONSTRAINT device_event_changes_event_id_fkey FOREIGN KEY (event_id) REFERENCES device_events(event_id) ON DELETE CASCADE;
ALTER TABLE ONLY device_event_journal
    ADD CONSTRAINT device_event_journal_event_id_fkey FOREIGN KEY (event_id) REFERENCES device_events(event_id) ON DELETE CASCADE;
ALTER TABLE ONLY further_parts
    ADD CONSTRAINT further_parts_request_id_fkey FOREIGN KEY (request_id) REFERENCES requests(request_id) ON DELETE CASCADE;
ALTER TABLE ONLY image_parts
    ADD CONSTRAINT image_parts_identifier_fkey FOREIGN KEY (identifier) REFERENCES images(identifier) ON DELETE CASCADE;
ALTER TABLE ONLY kept_messages
    ADD CONSTRAINT kept_messages_request_id_fkey FOREIGN KEY (request_id) REFERENCES requests(request_id) ON DELETE CASCADE;
ALTER TABLE ONLY meter_keys
    ADD CONSTRAINT meter_keys_mrid_fkey FOREIGN KEY (mrid) REFERENCES meters(mrid) ON DELETE CASCADE;
ALTER TABLE ONLY nonces
    ADD CONSTRAINT nonces_request_id_fkey FOREIGN KEY (request_id) REFERENCES requests(request_id) ON DELETE CASCADE;
ALTER TABLE ONLY owed_again
    ADD CONSTRAINT owed_again_request_id_fkey FOREIGN KEY (request_id) REFERENCES requests(request_id) ON DELETE CASCADE;
ALTER TABLE ONLY published
    ADD CONSTRAINT published_request_id_fkey FOREIGN KEY (request_id) REFERENCES requests(request_id) ON DELETE CASCADE;
ALTER TABLE ONLY replies
    ADD CONSTRAINT replies_request_id_fkey FOREIGN KEY (request_id) REFERENCES requests(request_id) ON DELETE CASCADE;
ALTER TABLE ONLY schedule_meters
    ADD CONSTRAINT schedule_meters_schedule_id_fkey FOREIGN KEY (schedule_id) REFERENCES schedules(schedule_id) ON DELETE CASCADE;
ALTER TABLE ONLY schedule_runs
    ADD CONSTRAINT schedule_runs_schedule_id_fkey FOREIGN KEY (schedule_id) REFERENCES schedules(schedule_id) ON DELETE CASCADE;
ALTER TABLE ONLY usage_point_keys
    ADD CONSTRAINT usage_point_keys_point_id_fkey FOREIGN KEY (point_id) REFERENCES usage_points(point_id) ON DELETE CASCADE;
