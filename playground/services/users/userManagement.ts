import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { type Response, Router } from 'express';
import { z } from 'zod';
import { bodyAs, HttpError } from '../../replica/httpError.ts';
import type { Service } from '../contract.ts';
import { type Grant, Grants } from './grants.ts';
import { hashPassword, isPassword, type PasswordHash } from './passwords.ts';
import { READY_MADE_PASSWORD, READY_MADE_USERS, type User } from './users.ts';

const CREDENTIALS = z.object({ username: z.string().min(1).max(200), password: z.string().min(1).max(200) });
const PROFILE = z.record(z.string(), z.unknown());

/** The only place where a refresh token travels. */
const REFRESH_COOKIE = 'refresh_token';

interface Account {
  readonly user: User;
  readonly passwordHash: PasswordHash;
}

/**
 * Registers and logs in users, and signs their tokens with JWT_SECRET, which the gateway must share.
 * Everything is in memory: each replica knows only the users who registered there, and the ready-made ones.
 */
export async function userManagement(env: NodeJS.ProcessEnv): Promise<Service> {
  const secret = env.JWT_SECRET || (await secretIn(env.JWT_SECRET_FILE));
  if (!secret) {
    throw new Error('userManagement signs tokens: set JWT_SECRET or JWT_SECRET_FILE as for the gateway');
  }
  const accounts = new Map<string, Account>();
  const profiles = new Map<string, Record<string, unknown>>();

  async function add(user: User, password: string): Promise<User> {
    const passwordHash = await hashPassword(password);
    // Looked up after the slow hash: of two at the same time, only one may have the name.
    if (accounts.has(user.username)) throw new HttpError(409, `${user.username} is registered already`);
    accounts.set(user.username, { user, passwordHash });
    profiles.set(String(user.id), { username: user.username });
    return user;
  }

  await Promise.all(READY_MADE_USERS.map((user) => add(user, READY_MADE_PASSWORD)));
  return { routes: Router().use(authRoutes(accounts, add, new Grants(secret)), profileRoutes(profiles)) };
}

function authRoutes(
  accounts: ReadonlyMap<string, Account>,
  add: (user: User, password: string) => Promise<User>,
  grants: Grants,
): Router {
  const routes = Router();
  let lastId = Math.max(...READY_MADE_USERS.map(({ id }) => id));
  /** The access token goes into the content, the refresh token into a cookie. */
  function grant(res: Response, user: User): Grant {
    res.cookie(REFRESH_COOKIE, grants.refresh(user), { httpOnly: true, sameSite: 'lax' });
    return grants.access(user);
  }
  routes.post('/auth/register', async (req, res) => {
    const { username, password } = bodyAs(CREDENTIALS, req.body);
    lastId += 1;
    const user = { id: lastId, uuid: randomUUID(), email: username, username, role: 'student' };
    await add(user, password);
    res.status(201).json({ user, ...grant(res, user) });
  });
  routes.post('/auth/login', async (req, res) => {
    const { username, password } = bodyAs(CREDENTIALS, req.body);
    const account = accounts.get(username);
    if (!account || !(await isPassword(password, account.passwordHash))) {
      throw new HttpError(401, 'no such user, or wrong password');
    }
    res.json(grant(res, account.user));
  });
  routes.post('/auth/refresh', (req, res) => {
    const uuid = grants.subjectOf(cookieIn(req.get('Cookie'), REFRESH_COOKIE));
    const account = accounts.values().find(({ user }) => user.uuid === uuid);
    if (!account)
      throw new HttpError(401, `the cookie ${REFRESH_COOKIE} holds no refresh token that is good`);
    res.json(grant(res, account.user));
  });
  // Revoking the token is the gateway's work; there is no session here to end.
  routes.post('/auth/logout', (_req, res) => {
    res.clearCookie(REFRESH_COOKIE).json({ status: 'logged out' });
  });
  return routes;
}

function profileRoutes(profiles: Map<string, Record<string, unknown>>): Router {
  const routes = Router();
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
  return routes;
}

function cookieIn(field: string | undefined, name: string): string {
  const pairs = (field ?? '').split(';').map((pair) => pair.trim().split('='));
  return pairs.find(([found]) => found === name)?.[1] ?? '';
}

/** As the gateway reads it, so without the newline that editors put at the end. */
async function secretIn(path: string | undefined): Promise<string | undefined> {
  return path && (await readFile(path, 'utf8')).replace(/\r?\n$/, '');
}
