import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { visitorOf } from '../account-portal/visitor.ts';
import { GOOD_PASSWORD } from '../support/app.ts';
import { createUserAgent } from '../support/user-agent.ts';
import { checkHistory } from './history/check-history.ts';
import { explainViolation } from './history/explain.ts';
import { makePlan } from './history/plan.ts';
import { createProtocolOperations } from './history/protocol-operations.ts';
import { createRecorder } from './history/record.ts';
import { runPlan } from './history/run-plan.ts';
import { createWorld } from './history/world.ts';
import { holdFamilies } from './support/families.ts';
import { inForm, seed } from './support/form.ts';
import { jsonOf } from './support/http-client.ts';
import { startInstallation } from './support/installation.ts';
import type { Installation } from './support/installation.ts';
import { unpackPreviousVersion } from './support/previous-version.ts';

const promises = { graceMs: 10_000 };
const PORTAL_PAGES = [
  '',
  '/profile',
  '/security',
  '/security/password',
  '/devices',
  '/apps',
  '/activity',
  '/data',
];
const OPERATIONS = inForm({ short: 500, long: 4_000 });

describe('two versions at the same time', function () {
  this.timeout(inForm({ short: 180_000, long: 900_000 }));
  let directory: string;
  let installation: Installation;
  before(async () => {
    directory = await mkdtemp(join(process.env['FAULTS_DIR'] ?? tmpdir(), 'upgrade-'));
    const program = unpackPreviousVersion(join(directory, 'previous'));
    // The schema is this version's before the first of its servers starts.
    installation = await startInstallation({
      env: { GATEHOUSE_REFRESH_GRACE_SECONDS: '10' },
      each: (index) => (index === 0 ? { program } : {}),
    });
  });
  after(async () => {
    await installation.close();
    await rm(directory, { recursive: true, force: true });
  });

  it('serve everybody together and keep every promise of the model', async () => {
    const plan = makePlan({ seed, operations: OPERATIONS, faults: ['kill-server', 'kill-server'] });

    const { records } = await runPlan(installation, plan);

    const [violation] = checkHistory(records, promises);
    if (violation) assert.fail(await explainViolation(violation, records, promises, installation));
    const answers = records.filter(({ kind }) => kind === 'refresh');
    for (const server of [0, 1])
      assert.ok(answers.some((record) => record.server === server && record.outcome === 'ok'));
  });

  /** A call of the JSON API. */
  async function call(
    issuer: string,
    server: number,
    path: string,
    { json, authorization }: CallOptions = {},
  ) {
    const outcome = await installation.balancer.send(
      {
        url: `${issuer}/api/v1${path}`,
        headers: authorization === undefined ? {} : { authorization },
        ...(json && { json }),
      },
      server,
    );
    assert.equal(outcome.kind, 'answered');
    return { status: outcome.status, body: jsonOf(outcome) };
  }

  for (const [first, second, name] of [
    [0, 1, 'old'],
    [1, 0, 'new'],
  ] as const) {
    it(`know each other’s tokens of the API, from a sign-in at the ${name} one to the sign-out there`, async () => {
      const world = await createWorld(installation, { users: 1, apps: 1 });
      const [person] = world.users;
      const api = (server: number, path: string, options?: CallOptions) =>
        call(world.issuer, server, path, options);
      const both = (path: string, token: unknown) =>
        Promise.all([first, second].map((server) => api(server, path, bearer(token))));

      const login = await api(first, '/auth/login', {
        json: { email: person?.email, password: GOOD_PASSWORD },
      });
      const me = await both('/auth/me', login.body['access_token']);
      const json = { refresh_token: login.body['refresh_token'] };
      const refreshed = await api(second, '/auth/refresh', { json });
      const repeated = await api(first, '/auth/refresh', { json });
      const dashboards = await both(`/users/${person?.id}/dashboard`, refreshed.body['access_token']);
      const logout = await api(first, '/auth/logout', {
        json: {},
        ...bearer(refreshed.body['access_token']),
      });
      const afterwards = [
        ...(await both('/auth/me', refreshed.body['access_token'])),
        await api(second, '/auth/refresh', { json: { refresh_token: refreshed.body['refresh_token'] } }),
      ];

      assert.deepEqual(
        [login, ...me, refreshed, repeated, ...dashboards, logout].map(({ status }) => status),
        [200, 200, 200, 200, 200, 200, 200, 204],
      );
      for (const { body } of [...me, ...dashboards]) assert.deepEqual(userOf(body), person);
      assert.equal(repeated.body['refresh_token'], refreshed.body['refresh_token']);
      assert.deepEqual(
        dashboards.map(({ body }) => body['logins_30_days']),
        [1, 1],
      );
      assert.deepEqual(
        afterwards.map(({ status }) => status),
        [401, 401, 401],
      );
    });

    it(`validate each other’s tokens, until they are revoked at the ${name} one`, async () => {
      const world = await createWorld(installation, { users: 2, apps: 1, apiApps: 1 });
      const protocol = createProtocolOperations(world, createRecorder());
      const caller = { worker: 0, server: first };
      const validations: unknown[] = [];

      for (const { app, access } of await holdFamilies(world, 2)) {
        const validate = async () => {
          for (const server of [first, second]) {
            const authorization = app.isForApi ? world.api.authorization : app.authorization;
            const { body } = await call(world.issuer, server, '/auth/validate', {
              json: { token: access },
              authorization,
            });
            validations.push(body['active']);
          }
        };
        await validate();
        await protocol.revoke(caller, app, access);
        await validate();
      }

      assert.deepEqual(validations, [true, true, false, false, true, true, false, false]);
    });

    it(`show the account portal to who signs in at both in turn, the ${name} one first`, async () => {
      const world = await createWorld(installation, { users: 1, apps: 1 });
      let turn: number = first;
      const inTurn = () => {
        turn += 1;
        return turn - 1;
      };
      const agent = createUserAgent((url, init) => installation.balancer.fetch(url, init, inTurn()));
      const visitor = await visitorOf(installation, world.tenant, { agent });
      const openAt = (server: number, path: string) => {
        turn = server;
        return visitor.open(path);
      };

      await visitor.open();
      const pages: string[] = [];
      for (const path of PORTAL_PAGES)
        for (const server of [first, second]) {
          const { status, url, body } = await openAt(server, path);
          pages.push(`${status} ${url} ${body.includes('aria-current="page"')}`);
        }
      const saved = await visitor.submit(await openAt(first, '/profile'), '/profile', { given_name: 'Ana' });
      const names = [await openAt(first, '/profile'), await openAt(second, '/profile')].map(({ body }) =>
        body.includes('value="Ana"'),
      );

      assert.deepEqual(
        pages,
        PORTAL_PAGES.flatMap((path) => Array.from({ length: 2 }, () => `200 ${visitor.base}${path} true`)),
      );
      assert.equal(saved.status, 200);
      assert.deepEqual(names, [true, true]);
    });
  }
});

interface CallOptions {
  json?: object;
  authorization?: string;
}

function userOf({ user }: Record<string, unknown>): unknown {
  return typeof user === 'object' && user !== null && 'id' in user && 'email' in user
    ? { id: user.id, email: user.email }
    : user;
}

function bearer(token: unknown): { authorization: string } {
  return { authorization: `Bearer ${String(token)}` };
}
