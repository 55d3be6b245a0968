import * as kinds from '../kinds/kinds.ts';
import { maskAll } from '../report/problems.ts';
import { discoveryAddress, stackName } from '../sections/discovery.ts';
import { count, filePath, type VariableGroup } from './variable.ts';

export const circuitBreaker = {
  title: 'Circuit breaker',
  page: 'resilience.md#the-breaker-of-a-replica',
  rows: {
    circuitBreakerThreshold: {
      name: 'CIRCUIT_BREAKER_THRESHOLD',
      kind: count,
      default: '3',
      description:
        'Failures of one replica within the window that open its breaker, if they are also `CIRCUIT_BREAKER_RATIO` of its calls there. So many connections that fail without a response in between always do.',
    },
    circuitBreakerRatio: {
      name: 'CIRCUIT_BREAKER_RATIO',
      kind: kinds.share,
      default: '0.5',
      description:
        'Part of the calls of one replica within the window that must have failed before its breaker opens; 0: their number alone decides.',
    },
    circuitBreakerWindowMs: {
      name: 'CIRCUIT_BREAKER_WINDOW',
      kind: kinds.duration,
      unset: "`REQUEST_TIMEOUT`, or the service's `timeouts.request`, x 3.5",
      description: 'Time within which failures are counted together.',
    },
    circuitBreakerCooldownMs: {
      name: 'CIRCUIT_BREAKER_COOLDOWN',
      kind: kinds.duration,
      default: '30s',
      description: 'Time an open breaker keeps requests away before it tries one.',
    },
    breakerShared: {
      name: 'BREAKER_SHARED',
      kind: kinds.flag,
      default: 'true',
      description:
        'Tells the other gateways on the same Redis when a breaker opens or closes, and opens a breaker when they say so.',
    },
  },
} as const satisfies VariableGroup;

export const loadBalancing = {
  title: 'Load balancing and registry',
  page: 'resilience.md#who-is-asked',
  rows: {
    slowStartMs: {
      name: 'SLOW_START',
      kind: kinds.durationOrZero,
      default: '5s',
      description:
        'Time in which a replica that joins or comes back under load gets up to its full part of it, from a tenth. 0: at once.',
    },
    stickySecret: {
      name: 'STICKY_SECRET',
      kind: kinds.text('a secret'),
      unset: '`JWT_SECRET`',
      description:
        'The secret that cookies of `balance: { sticky: cookie }` are signed with, the same for all gateways. Without it and `JWT_SECRET` each start of the gateway has its own: then clients lose their replica when it restarts.',
      mask: maskAll,
      file: 'STICKY_SECRET_FILE',
    },
    stickySecretFile: {
      name: 'STICKY_SECRET_FILE',
      kind: filePath,
      unset: 'none',
      description: 'A file holding that secret instead, such as a Docker secret.',
    },
    serviceDiscovery: {
      name: 'SERVICE_DISCOVERY_URL',
      kind: discoveryAddress,
      unset: 'none',
      description:
        "Who lists replicas: the stack's registry (`http://service-discovery:9000`), DNS (`dns://tasks.{name}-service`) or Consul (`consul://consul:8500`). Not set: the upstreams of each service.",
    },
    serviceDiscoveryToken: {
      name: 'SERVICE_DISCOVERY_TOKEN',
      kind: kinds.text('a token'),
      unset: 'none',
      description: 'The ACL token for Consul.',
      mask: maskAll,
      file: 'SERVICE_DISCOVERY_TOKEN_FILE',
    },
    serviceDiscoveryTokenFile: {
      name: 'SERVICE_DISCOVERY_TOKEN_FILE',
      kind: filePath,
      unset: 'none',
      description: 'A file holding the token instead, such as a Docker secret.',
    },
    serviceDiscoveryStack: {
      name: 'SERVICE_DISCOVERY_STACK',
      kind: stackName,
      unset: 'any stack',
      description:
        'The Swarm stack whose prefix (`padstack_`) may stand before a name in the registry. Set it when one registry lists several stacks: then the names of the others are unknown ones.',
    },
    serviceRefreshIntervalMs: {
      name: 'SERVICE_REFRESH_INTERVAL',
      kind: kinds.duration,
      default: '30s',
      description: 'Time between two looks at the registry.',
    },
    serviceDiscoveryIncrement: {
      name: 'SERVICE_DISCOVERY_INCREMENT',
      kind: kinds.template,
      unset: 'found out: `/increment?service_id={host}` or `/services/increment?id={id}`',
      description:
        "Path that is called with PUT for each forwarded request; `{id}`, `{host}` and `{port}` are the replica's. Not set: whichever of the two the registry accepts.",
    },
    serviceDiscoveryDeregister: {
      name: 'SERVICE_DISCOVERY_DEREGISTER',
      kind: kinds.template,
      unset: 'found out: `/deregister?service_id={host}` or `/deregister?id={host}`',
      description:
        "Path that is called with DELETE when a replica's breaker opens. It is not called when it names others as well. Not set: whichever of the two goes with the registry's increments.",
    },
  },
} as const satisfies VariableGroup;

export const services = {
  title: 'Services',
  page: 'routes.md',
  rows: {
    gatewayFile: {
      name: 'GATEWAY_FILE',
      kind: filePath,
      unset:
        '`gateway.config.ts`, `gateway.yaml` or `gateway.json` in the working directory, else the ten built-in services',
      description:
        'A file in TypeScript, YAML or JSON that says which services there are, and what holds for each.',
    },
  },
} as const satisfies VariableGroup;
