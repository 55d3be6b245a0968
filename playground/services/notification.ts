import { randomUUID } from 'node:crypto';
import { Router } from 'express';
import type { Service } from './contract.ts';

export function notification(): Service {
  const routes = Router();
  routes
    .route('/send')
    .get((_req, res) => {
      res.json({ id: randomUUID(), status: 'sent' });
    })
    .post(({ body }, res) => {
      res.json({ id: randomUUID(), status: 'sent', notification: body ?? null });
    });
  return { routes };
}
