"""`ami store-plans`: how PostgreSQL finds what the head-end asks it for, in a store that is filled for it (docs/postgresql.md)."""
