"""Settings of single result stores."""

from typing import Any

from celery_rs.config.settings.row import Setting, anything, flag, mapping, refused, seconds, text, whole

_IN_THE_URL = "write it into result_backend, as in 'redis://user:password@host:6379/0'"

REDIS = (
    mapping(
        "redis_backend_use_ssl",
        None,
        "CELERY_REDIS_BACKEND_USE_SSL",
        "options for TLS",
        proof="tests/unit/test_redis_store_settings.py::test_redis_backend_use_ssl_is_tls",
    ),
    refused("redis_host", "string", None, "CELERY_REDIS_HOST", "host, where there is no URL", _IN_THE_URL),
    refused("redis_port", "int", None, "CELERY_REDIS_PORT", "port, where there is no URL", _IN_THE_URL),
    refused("redis_db", "int", None, "CELERY_REDIS_DB", "database, where there is no URL", _IN_THE_URL),
    refused("redis_username", "string", None, "CELERY_REDIS_USERNAME", "user, where there is no URL", _IN_THE_URL),
    refused("redis_password", "string", None, "CELERY_REDIS_PASSWORD", "password, where there is no URL", _IN_THE_URL),
    whole(
        "redis_max_connections",
        1,
        None,
        "CELERY_REDIS_MAX_CONNECTIONS",
        "idle connections that a process keeps; the default is 10",
        proof="tests/unit/test_redis_store_settings.py::test_redis_max_connections_is_how_many_are_kept",
    ),
    seconds(
        "redis_socket_timeout",
        120.0,
        "CELERY_REDIS_SOCKET_TIMEOUT",
        "seconds to wait for an answer",
        proof="tests/unit/test_redis_store_settings.py::test_redis_socket_timeout_is_how_long_an_answer_is_waited_for",
    ),
    seconds(
        "redis_socket_connect_timeout",
        None,
        "CELERY_REDIS_SOCKET_CONNECT_TIMEOUT",
        "seconds to wait for a connection; the default is 4",
        proof="tests/unit/test_redis_store_settings.py::test_timeouts_and_names_reach_the_connection",
    ),
    flag(
        "redis_retry_on_timeout",
        False,
        "CELERY_REDIS_RETRY_ON_TIMEOUT",
        "ask again after a timeout",
        proof="tests/unit/test_redis_store_settings.py::test_redis_retry_on_timeout_asks_once_more",
    ),
    flag(
        "redis_socket_keepalive",
        False,
        "CELERY_REDIS_SOCKET_KEEPALIVE",
        "keep idle connections alive",
        proof="tests/unit/test_redis_store_settings.py::test_timeouts_and_names_reach_the_connection",
    ),
    whole(
        "redis_backend_health_check_interval",
        0,
        None,
        "",
        "seconds after which an idle connection is tried first; the default is 25",
        proof="tests/unit/test_redis_store_settings.py::test_redis_backend_health_check_interval_tries_idle_connections",
    ),
    anything(
        "redis_backend_credential_provider",
        "any",
        None,
        "",
        "class or object that knows user and password",
        proof="tests/unit/test_redis_store_settings.py::test_redis_backend_credential_provider_knows_the_password",
    ),
    text(
        "redis_client_name",
        None,
        "",
        "how the connections call themselves",
        proof="tests/unit/test_redis_store_settings.py::test_timeouts_and_names_reach_the_connection",
    ),
)

DATABASE = (
    text(
        "database_url",
        None,
        "CELERY_RESULT_DBURI",
        "URL without `db+`, for the store `database`",
        proof="tests/backends/test_sql_settings.py::test_database_url_is_where_the_store_database_is",
    ),
    mapping(
        "database_engine_options",
        {"pool_pre_ping": True, "pool_recycle": 3600},
        "CELERY_RESULT_ENGINE_OPTIONS",
        "arguments of create_engine",
        proof="tests/backends/test_sql_settings.py::test_database_engine_options_are_arguments_of_create_engine",
    ),
    anything(
        "database_engine_callback",
        "any",
        None,
        "=",
        "function, or its import path, that is called with each engine",
        proof="tests/backends/test_sql_settings.py::test_database_engine_callback_is_called_with_the_engine",
    ),
    flag(
        "database_short_lived_sessions",
        False,
        "CELERY_RESULT_DB_SHORT_LIVED_SESSIONS",
        "a connection for each operation, of which none is kept",
        proof="tests/backends/test_sql_settings.py::test_database_short_lived_sessions_keep_no_connection",
    ),
    mapping(
        "database_table_schemas",
        None,
        "=",
        "schemas of `task` and `group`",
        proof="tests/backends/test_sql_settings.py::test_database_table_schemas_are_where_the_tables_are",
    ),
    mapping(
        "database_table_names",
        None,
        "CELERY_RESULT_DB_TABLENAMES",
        "names of the tables of `task` and `group`",
        proof="tests/backends/test_sql_settings.py::test_database_table_names_name_the_tables",
    ),
    flag(
        "database_create_tables_at_setup",
        True,
        "=",
        "whoever asks first makes the tables; off leaves it to who stores",
        proof="tests/backends/test_sql_settings.py::test_database_create_tables_at_setup_lets_readers_make_them",
    ),
)

OTHER_STORES = (
    text(
        "cache_backend",
        None,
        "CELERY_CACHE_BACKEND",
        'the cache of `result_backend = "cache"`, as in `memcached://127.0.0.1:11211/`',
        proof="tests/backends/test_cache_settings.py::test_cache_backend_names_the_cache",
    ),
    mapping(
        "cache_backend_options",
        {},
        "CELERY_CACHE_BACKEND_OPTIONS",
        "options of pymemcache's client",
        proof="tests/backends/test_cache_settings.py::test_cache_backend_options_reach_the_client",
    ),
    mapping(
        "mongodb_backend_settings",
        None,
        "CELERY_MONGODB_BACKEND_SETTINGS",
        "database, collections, options",
        proof="tests/backends/test_mongodb_settings.py::test_mongodb_backend_settings_name_database_and_collections",
    ),
)


def _no_store(name: str, type: str, default: Any, help: str, old: str = "=") -> Setting:
    store = name.partition("_")[0]
    why = f"there is no {store} store; keep results in 'sqlite:///results.sqlite3' or name one of your own"
    return refused(name, type, default, old, help, why)


STORES_THAT_ARE_NOT = (
    _no_store(
        "elasticsearch_retry_on_timeout",
        "bool",
        None,
        "ask again after a timeout",
        "CELERY_ELASTICSEARCH_RETRY_ON_TIMEOUT",
    ),
    _no_store("elasticsearch_max_retries", "int", None, "how often", "CELERY_ELASTICSEARCH_MAX_RETRIES"),
    _no_store("elasticsearch_timeout", "seconds", None, "time for an answer", "CELERY_ELASTICSEARCH_TIMEOUT"),
    _no_store(
        "elasticsearch_save_meta_as_text",
        "bool",
        True,
        "records as JSON text",
        "CELERY_ELASTICSEARCH_SAVE_META_AS_TEXT",
    ),
    _no_store("cassandra_servers", "list", None, "hosts"),
    _no_store("cassandra_bundle_path", "string", None, "bundle of Astra"),
    _no_store("cassandra_secure_bundle_path", "string", None, "bundle of Astra", ""),
    _no_store("cassandra_port", "string", None, "port"),
    _no_store("cassandra_keyspace", "string", None, "keyspace"),
    _no_store("cassandra_table", "string", None, "table"),
    _no_store("cassandra_read_consistency", "string", None, "consistency of reads"),
    _no_store("cassandra_write_consistency", "string", None, "consistency of writes"),
    _no_store("cassandra_entry_ttl", "seconds", None, "how long a row is kept"),
    _no_store("cassandra_auth_provider", "string", None, "class of the driver that logs in"),
    _no_store("cassandra_auth_kwargs", "string", None, "its arguments"),
    _no_store("cassandra_options", "dict", {}, "arguments of the cluster"),
    _no_store("s3_access_key_id", "string", None, "credential"),
    _no_store("s3_secret_access_key", "string", None, "credential"),
    _no_store("s3_bucket", "string", None, "bucket"),
    _no_store("s3_base_path", "string", None, "prefix of keys"),
    _no_store("s3_endpoint_url", "string", None, "endpoint"),
    _no_store("s3_region", "string", None, "region"),
    _no_store("azureblockblob_container_name", "string", "celery", "container"),
    _no_store("azureblockblob_base_path", "string", "", "prefix"),
    _no_store("azureblockblob_retry_initial_backoff_sec", "int", 2, "first pause"),
    _no_store("azureblockblob_retry_increment_base", "int", 2, "base of the pauses"),
    _no_store("azureblockblob_retry_max_attempts", "int", 3, "how often"),
    _no_store("azureblockblob_connection_timeout", "int", 20, "time for a connection"),
    _no_store("azureblockblob_read_timeout", "int", 120, "time for an answer"),
    _no_store("gcs_bucket", "string", None, "bucket"),
    _no_store("gcs_project", "string", None, "project"),
    _no_store("gcs_base_path", "string", "", "prefix"),
    _no_store("gcs_ttl", "seconds", 0, "how long an object is kept"),
    _no_store("gcs_threadpool_maxsize", "int", 10, "threads of the client", ""),
    _no_store("firestore_project", "string", None, "project that counts chords", ""),
    _no_store("dynamodb_endpoint_url", "string", None, "endpoint", ""),
    _no_store(
        "couchbase_backend_settings",
        "dict",
        None,
        "host, user, password",
        "CELERY_COUCHBASE_BACKEND_SETTINGS",
    ),
    _no_store(
        "arangodb_backend_settings",
        "dict",
        None,
        "host, user, password",
        "CELERY_ARANGODB_BACKEND_SETTINGS",
    ),
    _no_store("cosmosdbsql_database_name", "string", "celerydb", "database"),
    _no_store("cosmosdbsql_collection_name", "string", "celerycol", "collection"),
    _no_store("cosmosdbsql_consistency_level", "string", "Session", "consistency"),
    _no_store("cosmosdbsql_max_retry_attempts", "int", 9, "how often"),
    _no_store("cosmosdbsql_max_retry_wait_time", "int", 30, "longest pause"),
)
