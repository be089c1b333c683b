import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { Knex } from 'knex';
import { newId } from '../../src/lib/ids.ts';
import { errorsOf } from '../../src/management-api/api-errors.ts';
import type { DescribedEndpoint } from '../../src/management-api/openapi.ts';
import { GOOD_PASSWORD, startTestApp } from '../support/app.ts';
import type { TestApp } from '../support/app.ts';
import { openTestDatabase } from '../support/test-databases.ts';
import { createApiMailWorld, withoutMail } from './api-mail-world.ts';
import type { ApiMailWorld } from './api-mail-world.ts';
import { createApiWorld, ENDPOINTS } from './api-world.ts';
import type { ApiAnswer, ApiWorld, CallOptions, Person } from './api-world.ts';
import { validRequest } from './valid-requests.ts';

const OTHER_PASSWORD = 'velvet harbour tundra nine';

/** Makes the server answer with one code. */
type Producer = (endpoint: DescribedEndpoint) => Promise<ApiAnswer>;

/**
 * Whatever the document says an operation can answer with, it does here. A code that nothing produces, because it
 * is new or because it cannot happen, fails.
 */
describe('every documented error', function () {
  this.timeout(60_000);
  let mailWorld: ApiMailWorld;
  let app: TestApp;
  let world: ApiWorld;
  let administrator: Person;
  /** Of the same people: one that counts guesses, and one where everybody has asked too often. */
  let counting: TestApp;
  let flooded: TestApp;
  let unreachable: TestApp;
  /** Has a bug. */
  let faulty: TestApp;
  let deadPool: Knex;

  before(async () => {
    mailWorld = await createApiMailWorld();
    ({ app, world } = mailWorld);
    administrator = await world.person({ isAdministrator: true });
    const limits = { GATEHOUSE_RATE_LIMITS: 'on', SMTP_URL: mailWorld.sink.url };
    counting = await startTestApp({ db: app.db, env: { ...limits, GATEHOUSE_SIGN_IN_ATTEMPTS: '3' } });
    const once = { GATEHOUSE_RATE_LIMIT_FORMS: '1', GATEHOUSE_RATE_LIMIT_REFUSALS: '1' };
    flooded = await startTestApp({ db: app.db, env: { ...limits, ...once } });
    deadPool = openTestDatabase('postgresql://nobody@127.0.0.1:1/nothing');
    unreachable = await startTestApp({ db: deadPool });
    faulty = await startTestApp({ db: app.db });
    Object.assign(faulty.registry, { get: () => Promise.reject(new TypeError('a bug')) });
  });

  after(async () => {
    for (const one of [counting, flooded, unreachable, faulty]) await one.close();
    await deadPool.destroy();
    await mailWorld.close();
  });

  const freshEmail = () => `${randomBytes(6).toString('hex')}@example.com`;
  const at = ({ path }: DescribedEndpoint, id = administrator.id) => path.replaceAll(/\{\w+\}/g, id);
  const post = (path: string, body: object, own = world) => own.call('POST', path, { body });
  const issuerAt = (other: TestApp) => world.issuer.replace(app.url, other.url);

  /** As an administrator, to an id that exists; what is given replaces what is documented. */
  function send(
    endpoint: DescribedEndpoint,
    options: CallOptions = {},
    path = at(endpoint),
  ): Promise<ApiAnswer> {
    const { example, permission, ifMatch } = endpoint.description;
    return world.call(endpoint.method.toUpperCase(), path, {
      ...(permission === 'public' || 'as' in options ? {} : { token: administrator.token }),
      ...(example.body ? { body: example.body } : {}),
      ...options,
      headers: { ...(ifMatch ? { 'if-match': '"x"' } : {}), ...options.headers },
    });
  }

  const valid = (endpoint: DescribedEndpoint, email = freshEmail()) =>
    validRequest(mailWorld, endpoint, { email });

  /** A valid request, with other members of its body. */
  async function sendValid(
    endpoint: DescribedEndpoint,
    change: object = {},
    headers: Record<string, string> = {},
  ) {
    const { method, path, options } = await valid(endpoint);
    return world.call(method, path, {
      ...options,
      ...(options.body ? { body: { ...options.body, ...change } } : {}),
      headers: { ...options.headers, ...headers },
    });
  }

  /** While the work runs, all places at the password hasher are taken. */
  async function whileHasherIsBusy(work: () => Promise<ApiAnswer>): Promise<ApiAnswer> {
    const { hasher } = app.services;
    let isOver = false;
    let refused = 0;
    const occupy = async (): Promise<void> => {
      while (!isOver) await hasher.hash(GOOD_PASSWORD);
    };
    const places: Promise<void>[] = [];
    while (refused === 0) {
      for (let count = 0; count < 50; count += 1) {
        places.push(
          occupy().catch(() => {
            refused += 1;
          }),
        );
      }
      await new Promise(setImmediate);
    }
    try {
      return await work();
    } finally {
      isOver = true;
      await Promise.all(places);
    }
  }

  /** Sends while somebody else changes the person, and lets that change be first. */
  async function afterChangeOf(
    id: string,
    change: object,
    send: () => Promise<ApiAnswer>,
  ): Promise<ApiAnswer> {
    const trx = await app.db.transaction();
    await trx('users').where({ id }).update(change);
    const { rows: self } = await trx.raw('SELECT pg_backend_pid() AS pid');
    let isAnswered = false;
    const sending = send().finally(() => {
      isAnswered = true;
    });
    while (!isAnswered) {
      const { rows } = await app.db.raw(
        'SELECT 1 FROM pg_stat_activity WHERE ?::int = ANY (pg_blocking_pids(pid))',
        [self[0].pid],
      );
      if (rows.length > 0) break;
    }
    await trx.commit();
    return sending;
  }

  async function ofTenant(settings: object, work: (own: ApiWorld) => Promise<ApiAnswer>): Promise<ApiAnswer> {
    const own = await createApiWorld(app);
    await app.services.tenants.update(own.actor, own.tenant.slug, { settings });
    await app.registry.refresh();
    return work(own);
  }

  async function withoutTokenStore(work: () => Promise<ApiAnswer>): Promise<ApiAnswer> {
    await app.db.raw(`
      CREATE OR REPLACE FUNCTION refuse_row() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'no more rows'; END $$`);
    await app.db.raw(`
      CREATE TRIGGER refuse_tokens BEFORE INSERT ON oidc_models
        FOR EACH ROW WHEN (NEW.model = 'RefreshToken') EXECUTE FUNCTION refuse_row()`);
    try {
      return await work();
    } finally {
      await app.db.raw('DROP TRIGGER refuse_tokens ON oidc_models');
    }
  }

  async function untilThrottled(ask: () => Promise<ApiAnswer>): Promise<ApiAnswer> {
    for (let count = 0; count < 20; count += 1) {
      const answer = await ask();
      if (answer.status === 429) return answer;
    }
    throw new Error('never throttled');
  }

  const unknownId: Producer = (endpoint) =>
    send(endpoint, { headers: { 'if-match': '*' } }, at(endpoint, newId()));
  const wrongSecret = () => ({ as: { ...world.service, secret: 'wrong' } });

  /** Of what the declaration of an endpoint makes possible, and of the server around it. */
  const GENERAL: Readonly<Record<string, Producer>> = {
    'http.invalid_parameters': (endpoint) => send(endpoint, {}, `${at(endpoint)}?surprise=1`),
    'http.duplicate_parameter': (endpoint) => send(endpoint, {}, `${at(endpoint)}?limit=1&limit=2`),
    'http.unauthorized': (endpoint) =>
      world.call(endpoint.method.toUpperCase(), at(endpoint), { body: endpoint.description.example.body }),
    'http.invalid_token': (endpoint) => send(endpoint, { token: 'nonsense' }),
    'http.invalid_client': (endpoint) => send(endpoint, wrongSecret()),
    async 'http.forbidden'(endpoint) {
      const other =
        endpoint.description.permission === 'tokens:validate' ? 'account:read' : 'tokens:validate';
      const { body } = await world.login(administrator.email, other);
      return send(endpoint, { token: body.access_token });
    },
    'http.not_found': (endpoint) => send(endpoint, { headers: { 'if-match': '*' } }, at(endpoint, 'no-id')),
    'http.not_acceptable': (endpoint) => send(endpoint, { headers: { accept: 'text/html' } }),
    'http.malformed_body': (endpoint) => send(endpoint, { body: '{"a":' }),
    'http.body_too_large': (endpoint) => send(endpoint, { body: { a: 'x'.repeat(300_000) } }),
    'http.unsupported_media_type': (endpoint) =>
      send(endpoint, {
        body: 'a=b',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
      }),
    'http.precondition_failed': (endpoint) => send(endpoint),
    'http.precondition_required': (endpoint) => send(endpoint, { headers: { 'if-match': '' } }),
    'http.bad_idempotency_key': (endpoint) =>
      send(endpoint, { headers: { 'idempotency-key': 'x'.repeat(256) } }),
    async 'idempotency.key_reused'(endpoint) {
      const key = { 'idempotency-key': newId() };
      const { method, path, options } = await valid(endpoint);
      const first = await world.call(method, path, { ...options, headers: key });
      assert.ok(first.status < 300, JSON.stringify(first.body));
      const others = await valid(endpoint);
      return world.call(method, others.path, { ...others.options, ...tokenOf(options), headers: key });
    },
    async 'idempotency.in_progress'(endpoint) {
      const key = { 'idempotency-key': newId() };
      const { method, path, options } = await valid(endpoint);
      const first = await world.call(method, path, { ...options, headers: key });
      assert.ok(first.status < 300, JSON.stringify(first.body));
      // As long as the first one has not ended there is no answer of it.
      const { rowCount } = await app.db.raw(
        `UPDATE idempotency_keys SET reply_sealed = NULL WHERE tenant_id = ? AND updated_at =
           (SELECT max(updated_at) FROM idempotency_keys WHERE tenant_id = ?)`,
        [world.tenant.id, world.tenant.id],
      );
      assert.equal(rowCount, 1);
      return world.call(method, path, { ...options, headers: key });
    },
    'http.too_many_requests': (endpoint) =>
      untilThrottled(() => send(endpoint, { token: 'nonsense', baseUrl: issuerAt(flooded) })),
    temporarily_unavailable: (endpoint) => send(endpoint, { baseUrl: issuerAt(unreachable) }),
    server_error: (endpoint) => send(endpoint, { baseUrl: issuerAt(faulty) }),
    'user.not_found': unknownId,
    'http.invalid_cursor': (endpoint) => send(endpoint, {}, `${at(endpoint)}?cursor=nonsense`),
    'user.email_invalid': (endpoint) => sendValid(endpoint, { email: 'no address' }),
    'user.email_taken': (endpoint) => sendValid(endpoint, { email: administrator.email, invite: undefined }),
    'auth.mail_unavailable': (endpoint) => {
      let answer: ApiAnswer | undefined;
      const ask = async (own: ApiWorld) => {
        answer = await post(endpoint.path, { email: freshEmail() }, own);
      };
      return withoutMail(ask).then(() => answer as ApiAnswer);
    },
    async 'auth.too_many_mails'(endpoint) {
      const email = freshEmail();
      return untilThrottled(() => post(endpoint.path, { email }));
    },
    'sign_up.closed': (endpoint) =>
      ofTenant({ signUp: 'off' }, (own) => post(endpoint.path, signUpBody(endpoint), own)),
    'sign_up.domain_not_allowed': (endpoint) =>
      ofTenant({ signUp: 'domains', signUpDomains: ['elsewhere.example'] }, (own) =>
        post(endpoint.path, signUpBody(endpoint), own),
      ),
    async 'auth.code_wrong'(endpoint) {
      const { options } = await valid(endpoint);
      const { code, ...body } = options.body as { code: string };
      return post(endpoint.path, { ...body, code: code === '123456' ? '654321' : '123456' });
    },
    async 'auth.code_expired'(endpoint) {
      const { options } = await valid(endpoint);
      await app.db('one_time_tokens').update({ created_at: '2020-01-01' });
      await app.db('mails').update({ status: 'sent', sent_at: '2020-01-01' });
      return post(endpoint.path, options.body as object);
    },
    'password.unacceptable': (endpoint) => sendValid(endpoint, { password: 'short', invite: undefined }),
    async 'password.busy'(endpoint) {
      const { method, path, options } = await valid(endpoint);
      const body = { ...(options.body as object), password: OTHER_PASSWORD, invite: undefined };
      return whileHasherIsBusy(() => world.call(method, path, { ...options, body }));
    },
    'auth.not_available': async (endpoint) => {
      const { issuer } = await app.tenant();
      return send(endpoint, { baseUrl: issuer });
    },
    'auth.client_unsuitable': (endpoint) =>
      ofTenant({}, async (own) => {
        await app.services.tenants.update(own.actor, own.tenant.slug, {
          settings: { firstPartyClientId: own.service.clientId },
        });
        await app.registry.refresh();
        return post(endpoint.path, endpoint.description.example.body ?? {}, own);
      }),
    async 'auth.tokens_unavailable'(endpoint) {
      const { method, path, options } = await valid(endpoint);
      return withoutTokenStore(() => world.call(method, path, options));
    },
    async 'recovery.not_proved'(endpoint) {
      const { options } = await valid(endpoint);
      const body = options.body as object;
      assert.equal((await post(endpoint.path, body)).status, 204);
      return post(endpoint.path, body);
    },
    async 'auth.too_many_attempts'(endpoint) {
      const { options } = await valid(endpoint);
      const body = {
        ...(options.body as object),
        ...('code' in (options.body as object) ? { code: '000000' } : { password: 'wrong and long enough' }),
      };
      return untilThrottled(() => world.call('POST', endpoint.path, { body, baseUrl: issuerAt(counting) }));
    },
    'auth.invalid_credentials': (endpoint) => sendValid(endpoint, { password: OTHER_PASSWORD }),
    'auth.scope_not_allowed': (endpoint) => sendValid(endpoint, { scope: 'openid everything' }),
    async 'auth.password_change_required'(endpoint) {
      const email = freshEmail();
      const password = GOOD_PASSWORD;
      await app.services.users.create(world.actor, { email, password, isTemporaryPassword: true });
      return post(endpoint.path, { email, password });
    },
    async 'auth.account_closed'(endpoint) {
      const { id, email } = await world.person();
      return afterChangeOf(id, { status: 'disabled' }, () =>
        post(endpoint.path, { email, password: GOOD_PASSWORD }),
      );
    },
  };

  /** Of one operation alone. */
  const OF_OPERATION: Readonly<Record<string, Readonly<Record<string, Producer>>>> = {
    refresh: {
      'auth.invalid_grant': ({ path }) => post(path, { refresh_token: 'rt_made-up' }),
      'auth.invalid_scope': (endpoint) => sendValid(endpoint, { scope: 'openid phone' }),
    },
    register: {
      'invitation.not_pending': (endpoint) => sendValid(endpoint, { email: administrator.email }),
      async 'invitation.no_mail'({ path, description }) {
        let answer: ApiAnswer | undefined;
        await withoutMail(async (own) => {
          const { token } = await own.person({ isAdministrator: true });
          answer = await own.call('POST', path, { token, body: description.example.body });
        });
        return answer as ApiAnswer;
      },
    },
    verifyEmail: {
      'auth.password_required': (endpoint) => sendValid(endpoint, { password: undefined }),
      async 'auth.not_a_sign_up'({ path }) {
        const { body } = await post('/auth/resend-verification', { email: freshEmail() });
        const { request_token } = body;
        return post(path, { request_token, code: '123456', password: OTHER_PASSWORD });
      },
      async 'sign_up.not_proved'(endpoint) {
        const { options } = await valid(endpoint);
        assert.equal((await post(endpoint.path, options.body as object)).status, 200);
        return post(endpoint.path, options.body as object);
      },
      async 'sign_up.existing'(endpoint) {
        const email = freshEmail();
        const { options } = await valid(endpoint, email);
        await app.services.users.create(world.actor, { email });
        return post(endpoint.path, options.body as object);
      },
    },
    endSession: {
      'session.not_found': (endpoint) => send(endpoint, {}, at(endpoint, newId())),
    },
    authorize: {
      'user.not_found': (endpoint) => sendValid(endpoint, { user_id: newId() }),
    },
    updateOwnProfile: {
      async 'user.not_found'(endpoint) {
        const { id, token } = await world.person();
        return afterChangeOf(id, { status: 'deleted', deleted_at: new Date() }, () =>
          send(endpoint, { token }),
        );
      },
    },
    recordActivity: {
      async 'idempotency.key_reused'(endpoint) {
        const { method, path, options } = await valid(endpoint);
        const headers = { 'idempotency-key': newId() };
        assert.equal((await world.call(method, path, { ...options, headers })).status, 204);
        return world.call(method, path, { ...options, headers, body: { activity: 'invoice.opened' } });
      },
    },
    updatePreferences: {
      async 'user.preferences_too_large'(endpoint) {
        const { id, token } = await world.person();
        const members = (from: number) =>
          Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`m${from + index}`, 1]));
        const change = (from: number) =>
          world.call('PATCH', at(endpoint, id), { token, body: { custom: members(from) } });
        assert.equal((await change(0)).status, 200);
        return change(100);
      },
    },
  };

  function signUpBody({ description }: DescribedEndpoint) {
    const token = description.id === 'signUp' ? {} : { request_token: randomBytes(32).toString('base64url') };
    return { email: freshEmail(), ...token };
  }

  function tokenOf({ token }: CallOptions): CallOptions {
    return token === undefined ? {} : { token };
  }

  for (const endpoint of ENDPOINTS) {
    const { id } = endpoint.description;

    it(`of ${id} is answered`, async () => {
      const failures: string[] = [];
      for (const { code, status } of errorsOf(endpoint.description)) {
        const produce = OF_OPERATION[id]?.[code] ?? GENERAL[code];
        if (!produce) {
          failures.push(`${code}: nothing here produces it`);
          continue;
        }
        const answer = await produce(endpoint).catch((err: unknown) => String(err));
        if (typeof answer === 'string') failures.push(`${code}: ${answer}`);
        else if (answer.status !== status || answer.body?.code !== code)
          failures.push(`${code}: ${answer.status} ${JSON.stringify(answer.body)}`);
      }
      assert.deepEqual(failures, []);
    });
  }

  it('is of an operation that there is', () => {
    const operations = new Map(ENDPOINTS.map(({ description }) => [description.id, description]));
    for (const [id, codes] of Object.entries(OF_OPERATION)) {
      const description = operations.get(id);
      assert.ok(description, id);
      const documented = errorsOf(description).map(({ code }) => code);
      assert.deepEqual(
        Object.keys(codes).filter((code) => !documented.includes(code)),
        [],
      );
    }
  });
});
