import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { GOOD_PASSWORD, startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { axeViolations, faultsOf, newContext, runsJavaScript } from '../support/browser.ts';
import type { BrowserOptions } from '../support/browser.ts';
import { cleanUpAfterEachTest } from '../support/cleanup.ts';
import { startLoopbackServer } from '../support/loopback-server.ts';
import type { ReceivedRequest } from '../support/loopback-server.ts';
import { createRelyingParty } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { memoryLog } from '../http/support.ts';
import type { MemoryLog } from '../http/support.ts';

/** The real application, people at real browsers, and apps that run on another origin. */

export interface World extends Omit<MemoryLog, 'log'> {
  app: TestApp;
  tenant: TestTenant;
  /** Where the apps hear the answer: a server of somebody else, at another origin. */
  appUrl: string;
  redirectUri: string;
  /** What reached that server. */
  appRequests: readonly ReceivedRequest[];
  /** An app and a person who has an account. */
  party(client?: ClientOptions): Promise<Party>;
  /** The same server, but another of its tenants. */
  elsewhere(): Promise<Pick<World, 'tenant' | 'party'>>;
  close(): Promise<void>;
}

type ClientOptions = Parameters<typeof createRelyingParty>[2];

export interface Party extends RelyingParty {
  /** Goes where the app's "Sign in" leads. */
  start(page: Page, params?: Record<string, string | undefined>): Promise<void>;
  /** The same with a request that the app has pushed (RFC 9126). */
  startPushed(page: Page, params?: Record<string, string>): Promise<void>;
}

export async function startWorld(
  options: Pick<NonNullable<Parameters<typeof startTestApp>[0]>, 'env' | 'db'> = {},
): Promise<World> {
  const { log, ...logged } = memoryLog();
  const app = await startTestApp({ log, ...options });
  const tenant = await app.tenant();
  const others = await startLoopbackServer();
  others.respond = (_req, res) => {
    res.writeHead(200, { 'content-type': 'text/html' });
    res.end('<!doctype html><title>The app</title><link rel="icon" href="data:,"><h1>The app</h1>');
  };
  const redirectUri = `${others.url}/callback`;

  return {
    app,
    tenant,
    ...logged,
    appUrl: others.url,
    redirectUri,
    appRequests: others.requests,
    party: (client) => partyOf(tenant, client),
    async elsewhere() {
      const other = await app.tenant();
      return { tenant: other, party: (client) => partyOf(other, client) };
    },
    async close() {
      await app.close();
      await others.close();
    },
  };

  async function partyOf(home: TestTenant, { metadata, ...client }: ClientOptions = {}): Promise<Party> {
    const rp = await createRelyingParty(app, home, {
      name: 'Notes',
      ...client,
      metadata: { redirect_uris: [redirectUri], ...metadata },
    });
    return {
      ...rp,
      redeem: (code, params) => rp.redeem(code, { redirect_uri: redirectUri, ...params }),
      async start(page, params = {}) {
        await page.goto(rp.authorizationUrl({ redirect_uri: redirectUri, ...params }));
      },
      async startPushed(page, params = {}) {
        const request = new URL(rp.authorizationUrl({ redirect_uri: redirectUri, ...params })).searchParams;
        const { body } = await rp.call('/par', Object.fromEntries(request));
        const query = new URLSearchParams({
          client_id: rp.clientId,
          request_uri: String(body['request_uri']),
        });
        await page.goto(`${home.issuer}/authorize?${query.toString()}`);
      },
    };
  }
}

/** Of a test: half a dozen pages, on machines that do more than this. */
export const TIMEOUT_MS = 60_000;

const watched: Page[] = [];

/** A page whose console, policy and network must stay silent to the end of the test. */
export async function openPage(options: BrowserOptions = {}): Promise<Page> {
  const context = await newContext(options);
  return openTab(await context.newPage());
}

/** Watches a page as `openPage` does: another tab of somebody who has one. */
export function openTab(page: Page): Page {
  watched.push(page);
  return page;
}

cleanUpAfterEachTest(() => {
  for (const page of watched.splice(0)) assert.deepEqual(faultsOf(page), []);
});

export async function heading(page: Page, name: string | RegExp): Promise<void> {
  await page.getByRole('heading', { level: 1, name }).waitFor();
}

/** Types the address and goes on; the next page is up to the test. */
export async function giveEmail(page: Page, email: string): Promise<void> {
  await page.getByLabel('Email').fill(email);
  await page.getByRole('button', { name: 'Continue' }).click();
}

export async function givePassword(page: Page, password = GOOD_PASSWORD): Promise<void> {
  await page.getByLabel('Password', { exact: true }).fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

export async function signIn(page: Page, email: string, password = GOOD_PASSWORD): Promise<void> {
  await giveEmail(page, email);
  await heading(page, 'Enter your password');
  await givePassword(page, password);
}

export async function allow(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Allow' }).click();
}

/** Waits until the browser is back at the app. @returns what it brought along */
export async function arrival(
  page: Page,
  { redirectUri }: { redirectUri: string },
): Promise<Record<string, string>> {
  await page.waitForURL((url) => url.href.startsWith(redirectUri));
  return Object.fromEntries(new URL(page.url()).searchParams);
}

/** The whole way, with an account that the browser does not know and an app that it did not allow. */
export async function signInAndAllow(
  page: Page,
  world: World,
  party: Party,
): Promise<Record<string, string>> {
  await party.start(page);
  await signIn(page, party.user.email);
  await allow(page);
  return arrival(page, world);
}

/** What is to work for people with JavaScript and for people without. */
export function bothWays(title: string, test: (javaScript: boolean) => Promise<void>): void {
  it(`${title}, with JavaScript`, () => test(true));
  it(`${title}, without JavaScript`, () => test(false));
}

/** At a page of the account portal, signed in by password. @param path below `/account` */
export async function enterPortal(
  page: Page,
  { tenant }: { tenant: { issuer: string } },
  { email }: { email: string },
  path = '',
): Promise<void> {
  await page.goto(`${tenant.issuer}/account${path}`);
  await signIn(page, email);
  await page.waitForURL((url) => url.pathname.endsWith(`/account${path}`));
}

/** A page of a journey in both colour schemes; for who has no JavaScript it is the same page, and cannot be judged. */
export async function look(page: Page, name: string): Promise<void> {
  if (!runsJavaScript(page)) return;
  await inspect(page, name);
  await page.emulateMedia({ colorScheme: 'dark' });
  assert.deepEqual(await axeViolations(page, ['color-contrast']), [], `${name} in the dark`);
  await page.emulateMedia({ colorScheme: 'light' });
}

/** No page may have an accessibility fault. With SCREENSHOTS naming a directory it leaves a picture there. */
export async function inspect(page: Page, name: string): Promise<void> {
  const { SCREENSHOTS: directory } = process.env;
  if (directory) await page.screenshot({ path: join(directory, `${name}.png`), fullPage: true });
  assert.deepEqual(await axeViolations(page), [], name);
}

export { GOOD_PASSWORD };
