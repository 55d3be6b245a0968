import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Locator, Page } from 'playwright-core';
import { type Browser, startBrowser } from '../support/clients/browser.ts';
import { INSTALLS_WITHIN_MS } from '../support/processes/command.ts';
import { startPlayground, type TestPlayground } from '../support/processes/playground.ts';

const TEST_TAKES_AT_MOST_MS = 30_000;
const SERVICES = 'userManagement,notification,teaManagement,communication,budgeting,sharing';

const REFUSALS = [
  ['anonymous', '401', 'Token missing', { 'www-authenticate': 'Bearer' }],
  ['forged', '401', 'Token invalid', {}],
  ['office', '403', 'Insufficient scope', { 'www-authenticate': 'Bearer error="insufficient_scope"' }],
  ['nowhere', '404', 'No such service', {}],
  ['method', '405', 'Method not allowed', {}],
  ['large', '413', 'Body too large', {}],
  ['maintenance', '503', 'Maintenance', { 'retry-after': '600' }],
] as const;

let browser: Browser;
let playground: TestPlayground;
let page: Page;
/** What the browser complained of: refused requests aside, there should be nothing. */
let complaints: string[];

beforeAll(async () => {
  browser = await startBrowser();
  playground = await startPlayground([`--only=${SERVICES}`]);
}, INSTALLS_WITHIN_MS);

afterAll(async () => {
  await browser?.[Symbol.asyncDispose]();
  await playground?.stop();
}, TEST_TAKES_AT_MOST_MS);

beforeEach(async () => {
  page = await browser.open('about:blank');
  complaints = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource'))
      complaints.push(message.text());
  });
  await page.goto(playground.urls.page ?? '');
}, TEST_TAKES_AT_MOST_MS);

afterEach(() => page.close());

async function logIn(user = 'test@example.com'): Promise<void> {
  await page.getByLabel('User').selectOption(user);
  await page.locator('#log-in').click();
  await page.getByText('requests have a token').waitFor();
}

/** Presses a button; resolves to what the page shows of the newest response, once there are `count` more of them. */
async function newest(button: string, count = 1): Promise<Locator> {
  const before = await page.locator('article').count();
  await page.locator(button).click();
  await page
    .locator('article')
    .nth(before + count - 1)
    .waitFor();
  return page.locator('article').first();
}

async function shown(article: Locator) {
  const text = (selector: string) => article.locator(selector).textContent();
  const names = await article.locator('dt').allTextContents();
  const values = await article.locator('dd').allTextContents();
  return {
    status: await text('.status'),
    title: await text('.title'),
    detail: await text('.detail'),
    requestId: await text('.id code'),
    fields: Object.fromEntries(names.map((name, index) => [name, values[index]])),
    content: await text('pre'),
  };
}

/** For each element with text of its own: how far its colour is from the background's, by WCAG 2.2. */
const CONTRASTS = `
(() => {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  const rgb = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = (colour) => {
    const [r, g, b] = rgb(colour).slice(0, 3).map((of) => of / 255)
      .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const backgroundOf = (element) => {
    const colour = getComputedStyle(element).backgroundColor;
    return rgb(colour)[3] === 255 ? colour : backgroundOf(element.parentElement);
  };
  return [...document.querySelectorAll('body *')]
    .filter((element) => element.checkVisibility() && !element.disabled)
    .filter(({ childNodes }) => [...childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
    .map((element) => {
      const [light, dark] = [getComputedStyle(element).color, backgroundOf(element)].map(luminance).sort((a, b) => b - a);
      return { text: element.textContent.trim(), ratio: (light + 0.05) / (dark + 0.05) };
    });
})()`;

describe('the page of the playground', () => {
  it(
    'is of another origin than the gateway, under a policy that lets it call nothing else',
    async () => {
      const { external, page: url = '' } = playground.urls;
      expect(await page.evaluate('location.origin')).toBe(url);
      expect(url).not.toBe(external);
      const elsewhere = await page.evaluate(
        (url) =>
          fetch(url).then(
            () => 'read',
            (error: Error) => error.name,
          ),
        `${playground.urls.registry}/services`,
      );
      expect(elsewhere).toBe('TypeError');
      expect(complaints.join('\n')).toContain('Content Security Policy');
    },
    TEST_TAKES_AT_MOST_MS,
  );

  it(
    'logs in, reads, and shows that the second response comes from the cache',
    async () => {
      await logIn();
      const second = await shown(await newest('#try-read', 2));
      expect(second).toMatchObject({ status: '200', fields: { 'x-cache': 'HIT' } });
      expect(second.content).toContain('tx_001');
      const first = await shown(page.locator('article').nth(1));
      expect(first).toMatchObject({ status: '200', fields: { 'x-cache': 'MISS' } });
      expect(first.fields['x-replica']).toMatch(/budgeting/);
      expect(complaints).toEqual([]);
    },
    TEST_TAKES_AT_MOST_MS,
  );

  it(
    'works under its other name as well, by which the README calls it',
    async () => {
      await page.goto((playground.urls.page ?? '').replace('127.0.0.1', 'localhost'));
      await logIn();
      expect(await page.locator('#gateway').textContent()).toMatch(/^http:\/\/localhost:/);
      expect(await shown(await newest('#try-office'))).toMatchObject({ status: '403' });
      expect(complaints).toEqual([]);
    },
    TEST_TAKES_AT_MOST_MS,
  );

  it(
    'is refused after a logout, although it still has its token',
    async () => {
      await logIn();
      expect(await shown(await newest('#log-out'))).toMatchObject({ status: '200' });
      expect(await shown(await newest('#try-read', 2))).toMatchObject({
        status: '401',
        title: 'Token revoked',
      });
    },
    TEST_TAKES_AT_MOST_MS,
  );

  it(
    'shows what the gateway says of each refusal',
    async () => {
      await logIn();
      for (const [id, status, title, fields] of REFUSALS) {
        const response = await shown(await newest(`#try-${id}`));
        expect({ id, ...response }).toMatchObject({ id, status, title, fields });
        expect(response.detail).not.toBe('');
        expect(response.requestId).toMatch(/^[\w-]{8,}$/);
      }
      expect(complaints).toEqual([]);
    },
    TEST_TAKES_AT_MOST_MS,
  );

  it(
    'shows which of six requests at once were too many',
    async () => {
      await logIn();
      await newest('#try-crowd', 6);
      const statuses = await page.locator('article .status').allTextContents();
      expect(new Set(statuses.slice(0, 6))).toEqual(new Set(['200', '429']));
      const busy = await shown(page.locator('article', { hasText: 'Service busy' }).first());
      expect(busy).toMatchObject({ status: '429', fields: { 'retry-after': '1' } });
      expect(complaints).toEqual([]);
    },
    TEST_TAKES_AT_MOST_MS,
  );

  it(
    'lets an admin into the office',
    async () => {
      await logIn('admin@example.com');
      expect(await shown(await newest('#try-office'))).toMatchObject({ status: '200' });
    },
    TEST_TAKES_AT_MOST_MS,
  );

  it(
    'reads the public catalogue without a token, and by the path that has moved',
    async () => {
      expect((await shown(await newest('#try-catalogue'))).content).toContain('tea_001');
      const moved = await shown(await newest('#try-moved'));
      expect(moved).toMatchObject({ status: '200', title: 'Redirected to /catalogue/inventory' });
      expect(moved.content).toContain('tea_001');
    },
    TEST_TAKES_AT_MOST_MS,
  );

  it(
    'follows a stream until Escape is pressed',
    async () => {
      await logIn();
      await page.locator('#stream-start').click();
      await page.getByText('chunk 2 of 120').waitFor();
      await page.keyboard.press('Escape');
      await page.getByText('(ended by you)').waitFor();
      expect(await page.locator('#stream-start').isEnabled()).toBe(true);
      expect(complaints).toEqual([]);
    },
    TEST_TAKES_AT_MOST_MS,
  );

  it(
    'opens a WebSocket with its token, and none without',
    async () => {
      await page.locator('#send').click();
      await page.getByText('Refused. Log in').waitFor();
      await logIn();
      await page.locator('#send').click();
      await page.getByText('The service said: Tea at five?').waitFor();
    },
    TEST_TAKES_AT_MOST_MS,
  );

  it.each(['light', 'dark'] as const)('can be read in %s colours', async (scheme) => {
    await page.emulateMedia({ colorScheme: scheme });
    await newest('#try-anonymous');
    await newest('#try-maintenance');
    const contrasts = await page.evaluate<{ text: string; ratio: number }[]>(CONTRASTS);
    expect(contrasts.length).toBeGreaterThan(20);
    // WCAG 2.2, 1.4.3.
    expect(contrasts.filter(({ ratio }) => ratio < 4.5)).toEqual([]);
  });

  it(
    'can be used by the keyboard alone',
    async () => {
      for (let pressed = 0; pressed < 30; pressed++) {
        await page.keyboard.press('Tab');
        if (await page.evaluate('document.activeElement.id === "try-anonymous"')) break;
      }
      await page.keyboard.press('Enter');
      await page.locator('article').waitFor();
      expect((await shown(page.locator('article').first())).status).toBe('401');
    },
    TEST_TAKES_AT_MOST_MS,
  );
});
