import { counter } from '../series/definition.ts';

/** Tokens of users, and API keys of machines. */
export const TOKEN_COUNTERS = {
  jwtGenerated: counter('gateway_jwt_generated_total', [], 'Tokens handed out by login and registration.'),
  jwtAccepted: counter('gateway_jwt_validation_success_total', [], 'Tokens accepted.'),
  jwtRejected: counter('gateway_jwt_validation_errors_total', ['reason'], 'Tokens refused.'),
  apiKeysAccepted: counter('gateway_api_key_success_total', [], 'API keys accepted.'),
  apiKeysRefused: counter('gateway_api_key_errors_total', ['problem'], 'API keys refused.'),
  apiKeysUnreadable: counter(
    'gateway_api_key_unreadable_total',
    [],
    'Records of API keys in the store that could not be read, each once: their keys are refused.',
  ),
};
