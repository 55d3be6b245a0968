import { randomUUID } from 'node:crypto';
import { Router } from 'express';
import { z } from 'zod';
import { bodyAs, HttpError } from '../replica/httpError.ts';
import type { Service } from './contract.ts';

type Item = Readonly<Record<string, unknown>> & { readonly id: string };

const NEW_ITEM = z.record(z.string(), z.unknown());

/** The services that are no more than collections of things, with what they hold at the start. */
const COLLECTIONS = {
  booking: {
    bookings: [{ id: 'booking_001', from: 'Campus', to: 'Airport', status: 'confirmed' }],
    cabs: [{ id: 'cab_001', driver: 'Ana', seats: 4 }],
  },
  checkin: {
    checkins: [{ id: 'checkin_001', user_id: '123', place: 'Library' }],
    places: [{ id: 'place_001', name: 'Library', capacity: 80 }],
  },
  lostFound: {
    lost: [{ id: 'lost_001', description: 'Blue umbrella', place: 'Cafeteria' }],
    found: [{ id: 'found_001', description: 'Student card', place: 'Hall' }],
  },
  fundRaising: {
    campaigns: [{ id: 'campaign_001', title: 'A new kettle', goal: 600, raised: 250 }],
    donations: [{ id: 'donation_001', campaign_id: 'campaign_001', amount: 250 }],
  },
  sharing: {
    resources: [{ id: 'resource_001', name: 'Projector', available: true }],
    loans: [{ id: 'loan_001', resource_id: 'resource_001', user_id: '123' }],
  },
} as const satisfies Readonly<Record<string, Readonly<Record<string, readonly Item[]>>>>;

export type CollectionsName = keyof typeof COLLECTIONS;

/** `GET` and `POST /<collection>`, `GET` and `DELETE /<collection>/<id>`, for each collection of the service. */
export function collections(service: CollectionsName): Service {
  const routes = Router();
  for (const [name, items] of Object.entries(COLLECTIONS[service])) addCollection(routes, name, items);
  return { routes };
}

function addCollection(routes: Router, name: string, initial: readonly Item[]): void {
  const items = new Map(initial.map((item) => [item.id, item]));
  routes
    .route(`/${name}`)
    .get((_req, res) => {
      res.json({ [name]: [...items.values()] });
    })
    .post((req, res) => {
      const item = { ...bodyAs(NEW_ITEM, req.body), id: randomUUID() };
      items.set(item.id, item);
      res.status(201).json(item);
    });
  routes
    .route(`/${name}/:id`)
    .get(({ params: { id } }, res) => {
      const item = items.get(id);
      if (!item) throw new HttpError(404, `${name} has no ${id}`);
      res.json(item);
    })
    .delete(({ params: { id } }, res) => {
      if (!items.delete(id)) throw new HttpError(404, `${name} has no ${id}`);
      res.status(204).end();
    });
}
