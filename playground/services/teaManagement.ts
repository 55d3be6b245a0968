import { Router } from 'express';
import { z } from 'zod';
import { bodyAs, HttpError } from '../replica/httpError.ts';
import type { Service } from './contract.ts';

const UPDATE = z.object({ item_id: z.string().min(1), quantity: z.int().min(0) });

export function teaManagement(): Service {
  const quantities = new Map([
    ['tea_001', 20],
    ['tea_002', 35],
    ['tea_003', 0],
  ]);
  const routes = Router();
  routes.get('/inventory', (_req, res) => {
    res.json({ items: Array.from(quantities, ([item_id, quantity]) => ({ item_id, quantity })) });
  });
  routes.put('/inventory/update', (req, res) => {
    const update = bodyAs(UPDATE, req.body);
    if (!quantities.has(update.item_id)) throw new HttpError(404, `there is no item ${update.item_id}`);
    quantities.set(update.item_id, update.quantity);
    res.json(update);
  });
  return { routes };
}
