import { setTimeout as sleep } from 'node:timers/promises';
import { Router } from 'express';
import type { Service } from './contract.ts';

/** Slow enough for a stop-watch to tell a cache hit from a miss. */
const TRANSACTIONS_DELAY_MS = 50;

const TRANSACTIONS = [
  { id: 'tx_001', description: 'Tea for the common room', amount: -240 },
  { id: 'tx_002', description: 'Cab to the conference', amount: -180 },
  { id: 'tx_003', description: 'Fund raising, spring', amount: 1500 },
];

export function budgeting(): Service {
  const routes = Router();
  const balance = TRANSACTIONS.reduce((sum, { amount }) => sum + amount, 0);
  routes.get('/api/transactions', async (_req, res) => {
    await sleep(TRANSACTIONS_DELAY_MS);
    res.json({ transactions: TRANSACTIONS });
  });
  routes.get('/api/balance', (_req, res) => {
    res.json({ balance, currency: 'MDL' });
  });
  routes.get('/users/:id/budget', ({ params: { id } }, res) => {
    res.json({ user_id: id, limit: 1000, spent: 420, currency: 'MDL' });
  });
  routes.get('/api/test-circuit-breaker', (_req, res) => {
    res.status(500).json({ error: 'this endpoint always fails, for trying out the circuit breaker' });
  });
  return { routes };
}
