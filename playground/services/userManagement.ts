import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Router } from 'express';
import jwt from 'jsonwebtoken';
import { z } from 'zod';
import { bodyAs, HttpError } from '../httpError.ts';
import type { Service } from './contract.ts';
import { hashPassword, isPassword, type PasswordHash } from './passwords.ts';
import { READY_MADE_USER } from './readyMadeUser.ts';

const TOKEN_OPTIONS = { algorithm: 'HS256', expiresIn: '1h' } as const;

const CREDENTIALS = z.object({ username: z.string().min(1).max(200), password: z.string().min(1).max(200) });
const PROFILE = z.record(z.string(), z.unknown());

interface User {
  readonly id: string;
  readonly username: string;
  readonly passwordHash: PasswordHash;
}

/**
 * Registers and logs in users, and signs their tokens with JWT_SECRET, which the gateway must share.
 * Everything is in memory: each replica knows only the users who registered there, and the ready-made one.
 */
export async function userManagement(env: NodeJS.ProcessEnv): Promise<Service> {
  const secret = env.JWT_SECRET || (await secretIn(env.JWT_SECRET_FILE));
  if (!secret) {
    throw new Error('userManagement signs tokens: set JWT_SECRET or JWT_SECRET_FILE as for the gateway');
  }
  const users = new Map<string, User>();
  const profiles = new Map<string, Record<string, unknown>>();

  async function addUser(id: string, { username, password }: z.infer<typeof CREDENTIALS>): Promise<User> {
    const user = { id, username, passwordHash: await hashPassword(password) };
    // Looked up after the slow hash: of two at the same time, only one may have the name.
    if (users.has(username)) throw new HttpError(409, `${username} is registered already`);
    users.set(username, user);
    profiles.set(id, { username });
    return user;
  }

  await addUser(READY_MADE_USER.id, READY_MADE_USER);
  const routes = Router();
  routes.post('/auth/register', async (req, res) => {
    const { id, username } = await addUser(randomUUID(), bodyAs(CREDENTIALS, req.body));
    res.status(201).json({ id, username, ...grant(id, secret) });
  });
  routes.post('/auth/login', async (req, res) => {
    const { username, password } = bodyAs(CREDENTIALS, req.body);
    const user = users.get(username);
    if (!user || !(await isPassword(password, user.passwordHash))) {
      throw new HttpError(401, 'no such user, or wrong password');
    }
    res.json(grant(user.id, secret));
  });
  // Revoking the token is the gateway's work; there is no session here to end.
  routes.post('/auth/logout', (_req, res) => {
    res.json({ status: 'logged out' });
  });
  routes.get('/users/:id/profile', ({ params: { id } }, res) => {
    const profile = profiles.get(id);
    if (!profile) throw new HttpError(404, `there is no profile of user ${id}`);
    res.json({ id, ...profile });
  });
  routes.post('/users/:id/profile', ({ params: { id }, body }, res) => {
    const profile = { ...profiles.get(id), ...bodyAs(PROFILE, body) };
    profiles.set(id, profile);
    res.json({ id, ...profile });
  });
  return { routes };
}

/** As the gateway reads it, so without the newline that editors put at the end. */
async function secretIn(path: string | undefined): Promise<string | undefined> {
  return path && (await readFile(path, 'utf8')).replace(/\r?\n$/, '');
}

function grant(subject: string, secret: string) {
  const token = jwt.sign({}, secret, { ...TOKEN_OPTIONS, subject, jwtid: randomUUID() });
  return { access_token: token, token_type: 'bearer' };
}
