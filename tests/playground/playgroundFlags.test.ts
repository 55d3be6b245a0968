import { describe, expect, it } from '@jest/globals';
import { FlagError } from '../../config/commandLine/flags.ts';
import { SERVICE_NAMES } from '../../playground/catalogue.ts';
import { parseFlags } from '../../playground/flags.ts';

describe('parseFlags', () => {
  it('has the documented ports, one replica of each service and the embedded store by default', () => {
    expect(parseFlags([])).toEqual({
      help: false,
      gateway: true,
      externalPort: 8000,
      internalPort: 8001,
      pagePort: 8070,
      registryPort: 9000,
      registryForm: 'stack',
      basePort: 8080,
      replicas: Object.fromEntries(SERVICE_NAMES.map((name) => [name, 1])),
    });
  });

  it.each([
    { args: ['--no-gateway'], expected: { gateway: false } },
    { args: ['-h'], expected: { help: true } },
    { args: ['--external-port', '0'], expected: { externalPort: 0 } },
    { args: ['--internal-port=65535'], expected: { internalPort: 65_535 } },
    { args: ['--base-port=0', '--base-port=9080'], expected: { basePort: 9080 } },
    { args: ['--registry-form=document'], expected: { registryForm: 'document' } },
    { args: ['--redis'], expected: { redisUrl: 'redis://127.0.0.1:6379' } },
    { args: ['--redis=rediss://r:1/2'], expected: { redisUrl: 'rediss://r:1/2' } },
    { args: ['--replicas', 'budgeting=3'], expected: { replicas: { budgeting: 3, sharing: 1 } } },
    { args: ['--replicas=budgeting=3,sharing=2'], expected: { replicas: { budgeting: 3, sharing: 2 } } },
    {
      args: ['--only=budgeting,userManagement', '--only', 'sharing', '--replicas=sharing=2'],
      expected: { replicas: { userManagement: 1, budgeting: 1, sharing: 2, checkin: 0 } },
    },
    {
      args: ['--replicas=budgeting=3', '--replicas=sharing=2'],
      expected: { replicas: { budgeting: 3, sharing: 2 } },
    },
  ])('understands $args', ({ args, expected }) => {
    expect(parseFlags(args)).toMatchObject(expected);
  });

  it.each([
    {
      args: ['--external-port=65536'],
      message: '--external-port must be a port from 0 (any free one) to 65535',
    },
    { args: ['--internal-port=-1'], message: '--internal-port must be a port' },
    { args: ['--registry-port=http'], message: 'got "http"' },
    { args: ['--registry-port='], message: 'got ""' },
    // Nine more have to fit above it.
    { args: ['--base-port=65527'], message: 'to 65526, got "65527"' },
    { args: ['--registry-form=v2'], message: '--registry-form must be stack or document, got "v2"' },
    { args: ['--redis=localhost'], message: '--redis must be a URL such as redis://127.0.0.1:6379' },
    { args: ['--replicas=budget=2'], message: 'no service "budget"; the services are userManagement, ' },
    { args: ['--replicas=budgeting'], message: '--replicas must look like budgeting=3' },
    { args: ['--replicas=budgeting=0'], message: 'with 1 to 20, got "budgeting=0"' },
    { args: ['--replicas=budgeting=21'], message: 'with 1 to 20, got "budgeting=21"' },
    { args: ['--replicas=budgeting=2=3'], message: 'got "budgeting=2=3"' },
    {
      args: ['--replicas=budgetting=2'],
      message: '--replicas knows no service "budgetting" (did you mean budgeting?); the services are userM',
    },
    {
      args: ['--only=budgeting,user-managment'],
      message: '--only knows no service "user-managment" (did you mean userManagement?); the services are ',
    },
    { args: ['--only=tea'], message: '--only knows no service "tea"; the services are userManagement, ' },
    { args: ['--only='], message: '--only knows no service ""; the services are userManagement, ' },
    {
      args: ['--only=budgeting', '--replicas=sharing=2'],
      message: '--replicas names sharing, which --only leaves out',
    },
    { args: ['--replica=budgeting=2'], message: "'--replica'" },
    { args: ['budgeting'], message: "'budgeting'" },
  ])('refuses $args', ({ args, message }) => {
    expect(() => parseFlags(args)).toThrow(FlagError);
    expect(() => parseFlags(args)).toThrow(message);
  });
});
