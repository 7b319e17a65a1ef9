CREATE TABLE alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE device_events (
    event_id character varying NOT NULL,
    meter character varying NOT NULL,
    code character varying NOT NULL,
    at timestamp with time zone NOT NULL,
    reason character varying,
    issuer_tracking_id character varying,
    details json NOT NULL,
    closed_at timestamp with time zone,
    said_at timestamp with time zone NOT NULL,
    message_id character varying NOT NULL,
    acknowledged_at timestamp with time zone,
    acknowledged_by character varying
);
CREATE TABLE events (
    message_id character varying NOT NULL,
    verb character varying NOT NULL,
    noun character varying NOT NULL,
    octets bytea NOT NULL,
    received_at timestamp with time zone NOT NULL
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
CREATE TABLE outgoing (
    message_id character varying NOT NULL,
    octets bytea NOT NULL
);
CREATE TABLE places (
    usage_point character varying NOT NULL,
    latitude double precision NOT NULL,
    longitude double precision NOT NULL,
    main_address character varying,
    said_at timestamp with time zone NOT NULL
);
CREATE TABLE readings (
    meter character varying NOT NULL,
    reading_type character varying NOT NULL,
    at timestamp with time zone NOT NULL,
    start timestamp with time zone,
    value character varying,
    qualities character varying NOT NULL,
    source character varying,
    said_at timestamp with time zone NOT NULL,
    message_id character varying NOT NULL
);
CREATE TABLE replies (
    number integer NOT NULL,
    request character varying NOT NULL,
    digest character varying NOT NULL,
    final boolean NOT NULL,
    result character varying NOT NULL,
    errors json NOT NULL,
    received_at timestamp with time zone NOT NULL
);
CREATE SEQUENCE replies_number_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE replies_number_seq OWNED BY replies.number;
CREATE TABLE requests (
    message_id character varying NOT NULL,
    correlation_id character varying NOT NULL,
    verb character varying NOT NULL,
    noun character varying NOT NULL,
    code character varying NOT NULL,
    meters json NOT NULL,
    asynchronous boolean NOT NULL,
    sent_at timestamp with time zone NOT NULL,
    state character varying NOT NULL,
    reason character varying
);
ALTER TABLE ONLY heartbeat ALTER COLUMN number SET DEFAULT nextval('heartbeat_number_seq'::regclass);
ALTER TABLE ONLY replies ALTER COLUMN number SET DEFAULT nextval('replies_number_seq'::regclass);
INSERT INTO alembic_version VALUES ('0007');
INSERT INTO device_events VALUES ('an-event', 'M1001', '0.12.0.257', '2026-11-20 12:00:00+00', 'fraud attempt', NULL, '[["bit", "13"]]', NULL, '2026-11-20 12:00:00+00', 'event', '2026-11-20 12:00:00+00', 'olga');
INSERT INTO events VALUES ('event', 'created', 'EndDeviceEvents', '\x3c6576656e742f3e', '2026-11-20 12:00:00+00');
INSERT INTO heartbeat VALUES (1);
INSERT INTO outgoing VALUES ('acknowledged', '\x3c72657175657374206f663d2761636b6e6f776c6564676564272f3e');
INSERT INTO outgoing VALUES ('failed', '\x3c72657175657374206f663d276661696c6564272f3e');
INSERT INTO outgoing VALUES ('unknown', '\x3c72657175657374206f663d27756e6b6e6f776e272f3e');
INSERT INTO outgoing VALUES ('sent', '\x3c72657175657374206f663d2773656e74272f3e');
INSERT INTO places VALUES ('UP-1001', 0.003144, -0.000162, '1 Alder Street, S1-F1', '2026-11-20 12:00:00+00');
INSERT INTO readings VALUES ('M1001', '0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0', '2026-11-20 12:00:00+00', NULL, '1234.5670', '1.0.0 1.4.16', 'meter', '2026-11-20 12:00:00+00', 'answered');
INSERT INTO replies VALUES (1, 'answered', 'digest', true, 'OK', '[]', '2026-11-20 12:00:00+00');
INSERT INTO requests VALUES ('answered', 'answered-correlation', 'create', 'EndDeviceControls', '3.31.0.23', '["M1001"]', true, '2026-11-20 12:00:00+00', 'answered', NULL);
INSERT INTO requests VALUES ('acknowledged', 'acknowledged-correlation', 'create', 'EndDeviceControls', '3.31.0.23', '["M1001"]', true, '2026-11-20 12:00:01+00', 'acknowledged', NULL);
INSERT INTO requests VALUES ('failed', 'failed-correlation', 'create', 'EndDeviceControls', '3.31.0.23', '["M1001"]', true, '2026-11-20 12:00:02+00', 'failed', 'connection refused');
INSERT INTO requests VALUES ('unknown', 'unknown-correlation', 'create', 'EndDeviceControls', '3.31.0.23', '["M1001"]', true, '2026-11-20 12:00:03+00', 'unknown', 'no answer within 10 s');
INSERT INTO requests VALUES ('sent', 'sent-correlation', 'create', 'EndDeviceControls', '3.31.0.23', '["M1001"]', true, '2026-11-20 12:00:04+00', 'sent', NULL);
SELECT pg_catalog.setval('heartbeat_number_seq', 1, false);
SELECT pg_catalog.setval('replies_number_seq', 1, true);
ALTER TABLE ONLY alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY device_events
    ADD CONSTRAINT device_events_pkey PRIMARY KEY (event_id);
ALTER TABLE ONLY events
    ADD CONSTRAINT events_pkey PRIMARY KEY (message_id);
ALTER TABLE ONLY heartbeat
    ADD CONSTRAINT heartbeat_pkey PRIMARY KEY (number);
ALTER TABLE ONLY outgoing
    ADD CONSTRAINT outgoing_pkey PRIMARY KEY (message_id);
ALTER TABLE ONLY places
    ADD CONSTRAINT places_pkey PRIMARY KEY (usage_point);
ALTER TABLE ONLY readings
    ADD CONSTRAINT readings_pkey PRIMARY KEY (meter, reading_type, at);
ALTER TABLE ONLY replies
    ADD CONSTRAINT replies_pkey PRIMARY KEY (number);
ALTER TABLE ONLY replies
    ADD CONSTRAINT replies_request_digest_key UNIQUE (request, digest);
ALTER TABLE ONLY requests
    ADD CONSTRAINT requests_pkey PRIMARY KEY (message_id);
CREATE INDEX ix_device_events_at ON device_events USING btree (at);
CREATE INDEX ix_readings_at ON readings USING btree (at);
CREATE INDEX ix_readings_message_id ON readings USING btree (message_id);
CREATE INDEX ix_requests_correlation_id ON requests USING btree (correlation_id);
CREATE INDEX ix_requests_state ON requests USING btree (state);
ALTER TABLE ONLY outgoing
    ADD CONSTRAINT outgoing_message_id_fkey FOREIGN KEY (message_id) REFERENCES requests(message_id) ON DELETE CASCADE;
ALTER TABLE ONLY replies
    ADD CONSTRAINT replies_request_fkey FOREIGN KEY (request) REFERENCES requests(message_id);
