import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import Koa from 'koa';
import { createAssets } from '../../src/http/assets.ts';
import { createHttpPages } from '../../src/http/pages.ts';
import { createSecurityHeaders, securityHeaders } from '../../src/http/security-headers.ts';
import { createViews } from '../../src/http/views.ts';
import { createInteractionPages } from '../../src/interactions/pages.ts';
import { createSetupPages } from '../../src/setup/setup-pages.ts';
import type { PageWriter } from '../../src/i18n/request-language.ts';
import { english, pageWriter } from '../support/translations.ts';
import { sampleMailedPages } from './sample-mailed-pages.ts';

/** Every page in every state, with whatever words a test wants to see on it, served as the server serves them. */

export interface Words {
  app: string;
  tenant: string;
  email: string;
  /** Of people, scopes, resources, messages. */
  text: string;
  /** Of other parties. */
  host: string;
  url: string;
}

const ORDINARY: Words = {
  app: 'Notes',
  tenant: 'Acme',
  email: 'ana@acme.com',
  text: 'Read and search your invoices',
  host: 'notes.example.com',
  url: 'https://notes.example.com/',
};

const viewsDir = join(import.meta.dirname, '../../views');
const NOW = new Date('2026-11-22T10:15:03Z');
const HOUR = 3_600_000;

const assets = createAssets({ dir: join(viewsDir, 'assets') });
export const views = createViews({ dir: viewsDir, assetUrl: assets.url });

const interactions = createInteractionPages({ views, now: () => NOW });
const http = createHttpPages({ views });
const setup = createSetupPages({ views });

/** @returns documents by the name of page and state */
export function samplePages(
  words: Words = ORDINARY,
  language: PageWriter = pageWriter('en'),
): Map<string, string> {
  const purpose = { app: { name: words.app }, tenant: { name: words.tenant } };
  const form = { action: '/posted', csrf: 'nonce.token' };
  const links = { cancelHref: '/cancel', changeHref: '/change' };
  const identifier = {
    ...purpose,
    ...links,
    form,
    email: '',
    error: null,
    chooserHref: null,
    signUpHref: null,
  };
  const password = {
    ...purpose,
    ...links,
    form,
    email: words.email,
    isConfirmation: false,
    reason: null,
    error: null,
    otherHref: '/other',
    resetHref: null,
    codeHref: null,
  };
  const scope = (name: string, description: string | null, isNew = false) => ({ name, description, isNew });
  const consent = {
    ...purpose,
    app: { name: words.app, logoUrl: null, publisherHost: words.host },
    account: { email: words.email },
    switchHref: '/switch',
    form,
    groups: [
      {
        resource: null,
        scopes: [scope('openid', null), scope('email', null), scope('offline_access', null)],
      },
    ],
    returnHost: words.host,
    manageHref: null,
  };
  const error = {
    title: null,
    message: null,
    action: { href: '/again' },
    reference: '0199a3f2-6c1e-7b64-9d0c-5a1f0e2b7c11',
    at: NOW,
    details: [
      { name: 'error', value: 'invalid_request' },
      { name: 'error_description', value: words.text },
    ],
  };
  const setupForm = {
    action: '/posted',
    csrf: 'nonce.token',
    token: 'secret',
    values: { email: '', name: '' },
    errors: {},
    password: {
      minLength: 15,
      maxLength: 256,
    },
  };

  return new Map([
    ['identifier', interactions.identifierPage(language, identifier)],
    [
      'identifier-error',
      interactions.identifierPage(language, {
        ...identifier,
        email: words.email,
        error: 'malformed',
        chooserHref: '/accounts',
      }),
    ],
    ['password', interactions.passwordPage(language, password)],
    [
      'password-confirm',
      interactions.passwordPage(language, { ...password, isConfirmation: true, reason: 'delete' }),
    ],
    [
      'password-mismatch',
      interactions.passwordPage(language, {
        ...password,
        error: { reason: 'mismatch' },
        resetHref: '/reset',
      }),
    ],
    [
      'password-throttled',
      interactions.passwordPage(language, {
        ...password,
        error: { reason: 'throttled', retryAfterSeconds: 40 },
      }),
    ],
    ['password-busy', interactions.passwordPage(language, { ...password, error: { reason: 'busy' } })],
    [
      'accounts',
      interactions.accountsPage(language, {
        ...purpose,
        ...links,
        form,
        removeForm: { action: '/removed', csrf: 'nonce.token' },
        accounts: [
          { id: 'a', email: words.email, lastUsedAt: new Date(NOW.getTime() - 2 * HOUR), signedIn: true },
          {
            id: 'b',
            email: `bo.${words.email}`,
            lastUsedAt: new Date(NOW.getTime() - 80 * HOUR),
            signedIn: false,
          },
        ],
        otherHref: '/other',
      }),
    ],
    ['consent', interactions.consentPage(language, consent)],
    [
      'consent-extended',
      interactions.consentPage(language, {
        ...consent,
        app: { ...consent.app, logoUrl: assets.url('logo.svg') },
        groups: [
          ...consent.groups,
          {
            resource: { name: `${words.app} API` },
            scopes: [
              scope('invoices:read', words.text),
              scope('invoices:write', words.text, true),
              scope('contacts.manage', null, true),
            ],
          },
        ],
        manageHref: '/account/apps',
      }),
    ],
    [
      'sign-out',
      interactions.signOutPage(language, {
        ...purpose,
        account: { email: words.email },
        action: '/posted',
        xsrf: 'x',
        autoSubmit: false,
      }),
    ],
    [
      'sign-out-unknown',
      interactions.signOutPage(language, {
        tenant: purpose.tenant,
        account: null,
        app: null,
        action: '/posted',
        xsrf: 'x',
        autoSubmit: false,
      }),
    ],
    [
      'signed-out',
      interactions.signedOutPage(language, {
        tenant: purpose.tenant,
        account: null,
        app: { name: words.app, url: words.url },
        signInHref: '/again',
        appsNotReached: [],
      }),
    ],
    [
      'signed-out-of-app',
      interactions.signedOutPage(language, {
        tenant: purpose.tenant,
        account: { email: words.email },
        app: { name: words.app, url: words.url },
        signInHref: '/again',
        appsNotReached: [],
      }),
    ],
    [
      'still-signed-in',
      interactions.signedOutPage(language, {
        tenant: purpose.tenant,
        account: { email: words.email },
        app: null,
        signInHref: null,
        appsNotReached: [],
      }),
    ],
    [
      'signed-out-not-everywhere',
      interactions.signedOutPage(language, {
        tenant: purpose.tenant,
        account: null,
        app: null,
        signInHref: null,
        appsNotReached: [words.app, words.text],
      }),
    ],
    [
      'error-refused',
      http.errorPage(language, { ...error, kind: 'refused', message: words.text, action: null }),
    ],
    ['error-failed', http.errorPage(language, { ...error, kind: 'failed', details: [] })],
    ['error-busy', http.errorPage(language, { ...error, kind: 'busy' })],
    [
      'error-expired',
      http.errorPage(language, { ...error, kind: 'expired', action: { href: words.url }, details: [] }),
    ],
    ['error-cookies', http.errorPage(language, { ...error, kind: 'cookies', details: [] })],
    [
      'error-not-found',
      http.errorPage(language, { ...error, kind: 'not_found', action: { href: '/' }, details: [] }),
    ],
    [
      'error-of-handler',
      http.requestErrorPage(language, {
        message: words.text,
        code: 'csrf.bad_token',
        reference: error.reference,
        time: NOW,
        status: 403,
        retryHref: null,
      }),
    ],
    ['setup', setup.setupPage(language, setupForm)],
    [
      'setup-errors',
      setup.setupPage(language, {
        ...setupForm,
        values: { email: words.email, name: words.text },
        errors: { email: words.text, password: 'Use at least 15 characters.' },
      }),
    ],
    ['setup-done', setup.setupDonePage(language, { email: words.email, demoUrl: words.url })],
    ['setup-closed', setup.setupClosedPage(language, { reason: 'used' })],
    [
      'landing',
      http.landingPage(language, {
        issuer: 'http://localhost:3000',
        discoveryUrl: 'http://localhost:3000/.well-known/openid-configuration',
        metadataUrl: 'http://localhost:3000/.well-known/oauth-authorization-server',
        jwksUrl: 'http://localhost:3000/jwks',
        demoUrl: 'http://localhost:3000/demo',
      }),
    ],
    ...sampleMailedPages(views, words, language),
  ]);
}

/** The page that sends itself, and so cannot be looked at. */
export function automaticSignOutPage(): string {
  return interactions.signOutPage(english, {
    app: { name: ORDINARY.app },
    tenant: { name: ORDINARY.tenant },
    account: { email: ORDINARY.email },
    action: '/posted',
    xsrf: 'x',
    autoSubmit: true,
  });
}

export interface PageServer {
  origin: string;
  /** What forms posted, oldest first. */
  posted: URLSearchParams[];
  close(): Promise<void>;
}

/** Serves `/<name of page>`; a POST to any other path is noted and answered with a page. */
export async function servePages(pages: ReadonlyMap<string, string>): Promise<PageServer> {
  const posted: URLSearchParams[] = [];
  const app = new Koa();
  app.use(securityHeaders(createSecurityHeaders({ publicUrl: 'http://localhost' })));
  app.use(assets.middleware);
  app.use(async (ctx) => {
    if (ctx.method === 'POST') posted.push(new URLSearchParams((await ctx.req.toArray()).join('')));
    ctx.type = 'html';
    ctx.body =
      pages.get(ctx.path.slice(1)) ?? '<!doctype html><html lang="en"><title>There</title><h1>There</h1>';
  });
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    // The server listens on a port, so its address is not a pipe's.
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    posted,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
