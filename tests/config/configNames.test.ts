import { describe, expect, test } from '@jest/globals';
import { misspeltNames } from '../../config/kinds/names.ts';
import { listVariables } from '../../config/variables.ts';

/** Names found on laptops, in CI, in containers, and put there by Docker links and Kubernetes services. */
const ORDINARY = `
  PATH HOME USER LOGNAME SHELL PWD OLDPWD LANG LC_ALL TERM EDITOR HOSTNAME TZ TMPDIR SHLVL _ MAIL DISPLAY
  XDG_DATA_DIRS XDG_DATA_HOME XDG_CONFIG_DIRS XDG_RUNTIME_DIR DBUS_SESSION_BUS_ADDRESS SSH_AUTH_SOCK LS_COLORS
  PORT HOST DEBUG CI NODE_OPTIONS NODE_PATH NODE_VERSION NODE_EXTRA_CA_CERTS NODE_NO_WARNINGS NODE_DEBUG
  NODENV_DIR NODENV_ROOT NVM_DIR NVM_BIN YARN_VERSION COLORTERM FORCE_COLOR NO_COLOR http_proxy HTTPS_PROXY NO_PROXY
  npm_config_loglevel npm_config_cache npm_lifecycle_event npm_package_name npm_node_execpath INIT_CWD
  npm_config_user_agent npm_config_registry npm_config_node_gyp npm_command npm_execpath npm_config_local_prefix
  GITHUB_ACTIONS GITHUB_TOKEN GITHUB_REF_NAME GITHUB_RUN_ID GITHUB_SERVER_URL GITHUB_WORKSPACE GITHUB_EVENT_NAME
  RUNNER_OS RUNNER_TEMP RUNNER_TOOL_CACHE RUNNER_DEBUG ImageOS ImageVersion ACTIONS_CACHE_URL
  ACTIONS_RUNTIME_TOKEN JAVA_HOME ANDROID_HOME GOROOT_1_25_X64 JEST_WORKER_ID VSCODE_PID DOCKER_HOST COMPOSE_FILE
  REDIS_NAME REDIS_PORT_6379_TCP REDIS_PORT_6379_TCP_ADDR REDIS_PORT_6379_TCP_PORT REDIS_PORT_6379_TCP_PROTO
  REDIS_ENV_REDIS_VERSION REDIS_VERSION REDIS_SERVICE_HOST REDIS_SERVICE_PORT REDIS_SERVICE_PORT_REDIS
  SERVICE_DISCOVERY_PORT SERVICE_DISCOVERY_SERVICE_HOST SERVICE_DISCOVERY_PORT_9000_TCP
  BUDGETING_SERVICE_PORT BUDGETING_SERVICE_SERVICE_HOST KUBERNETES_SERVICE_HOST KUBERNETES_PORT_443_TCP_ADDR
  POSTGRES_PASSWORD POSTGRES_DB PGDATA DATABASE_URL DATA DATA_SOURCE JWT_ISSUER JWT_EXPIRES_IN LOG_FILE LOG_DIR
  GRAFANA_PORT PROMETHEUS_PORT GF_SECURITY_ADMIN_PASSWORD EXTERNAL_URL INTERNAL_URL MAX_CONNECTIONS READ_TIMEOUT STOP_TIMEOUT
`.split(/\s+/);

const environment = (...names: string[]) => Object.fromEntries(names.map((name) => [name, 'x']));

describe('names of variables', () => {
  test.each([
    { in: 'REQUEST_TIMOUT', out: 'REQUEST_TIMEOUT' },
    { in: 'JWT_SECERT', out: 'JWT_SECRET' },
    { in: 'JWT_ALGORITHM', out: 'JWT_ALGORITHMS' },
    { in: 'REDIS_URI', out: 'REDIS_URL' },
    { in: 'REDIS_PASSWD', out: 'REDIS_PASSWORD' },
    { in: 'GLOBAL_CONCURENCY', out: 'GLOBAL_CONCURRENCY' },
    { in: 'CIRCUT_BREAKER_TRESHOLD', out: 'CIRCUIT_BREAKER_THRESHOLD' },
    { in: 'SERVICE_DISCOVERY_UR', out: 'SERVICE_DISCOVERY_URL' },
    { in: 'external_port', out: 'EXTERNAL_PORT' },
    { in: 'LogLevel', out: 'LOG_LEVEL' },
    { in: 'JWTSECRET', out: 'JWT_SECRET' },
    { in: 'REDIS-HOST', out: 'REDIS_HOST' },
  ])('$in is a misspelt $out', ({ in: name, out }) => {
    expect(misspeltNames(environment(name))).toEqual([`${name} is not a setting: did you mean ${out}?`]);
  });

  test('are left alone in an ordinary environment', () => {
    expect(misspeltNames(environment(...ORDINARY))).toEqual([]);
    expect(misspeltNames(process.env)).toEqual([]);
  });

  test('that are right are never taken for each other', () => {
    expect(misspeltNames(environment(...listVariables().map(([, { name }]) => name)))).toEqual([]);
  });
});
