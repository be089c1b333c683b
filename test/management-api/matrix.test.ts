import assert from 'node:assert/strict';
import { newId } from '../../src/lib/ids.ts';
import type { DescribedEndpoint } from '../../src/management-api/openapi.ts';
import { isPermission } from '../../src/access/permissions.ts';
import { startTestApp } from '../support/app.ts';
import type { TestApp } from '../support/app.ts';
import { createApiWorld, ENDPOINTS } from './api-world.ts';
import type { ApiWorld, Person } from './api-world.ts';

/** Every endpoint there is, and every one there will be, from what it declares. */
describe('every API endpoint', () => {
  let app: TestApp;
  let world: ApiWorld;
  let other: ApiWorld;
  let administrator: Person;
  let person: Person;
  let stranger: Person;
  let narrow: string;

  before(async () => {
    app = await startTestApp();
    world = await createApiWorld(app);
    other = await createApiWorld(app);
    administrator = await world.person({ isAdministrator: true });
    person = await world.person();
    stranger = await other.person({ isAdministrator: true });
    narrow = (await world.login(administrator.email, 'openid')).body.access_token;
  });

  after(async () => {
    await app.close();
  });

  const nameOf = ({ method, path }: DescribedEndpoint) => `${method.toUpperCase()} ${path}`;
  const isPublic = ({ description }: DescribedEndpoint) => description.permission === 'public';
  const hasId = ({ path }: DescribedEndpoint) => path.includes('{');
  const at = ({ path }: DescribedEndpoint, id: string) => path.replaceAll(/\{\w+\}/g, id);
  const bodyOf = ({ description }: DescribedEndpoint) =>
    description.body ? { body: description.example.body ?? {} } : {};
  const ifMatch = ({ description }: DescribedEndpoint) =>
    description.ifMatch ? { headers: { 'if-match': '"x"' } } : {};
  const send = (endpoint: DescribedEndpoint, id: string, options: Parameters<ApiWorld['call']>[2] = {}) =>
    world.call(endpoint.method.toUpperCase(), at(endpoint, id), { ...bodyOf(endpoint), ...options });

  it('asks for a permission that exists, by a name of its own', () => {
    const ids = new Set<string>();
    for (const { description } of ENDPOINTS) {
      const { permission, id } = description;
      const needed =
        permission === 'public'
          ? []
          : typeof permission === 'string'
            ? [permission]
            : [permission.own, permission.others];
      for (const name of needed) assert.ok(isPermission(name), `${id} asks for ${name}`);
      ids.add(id);
    }
    assert.ok(ENDPOINTS.length >= 30);
    assert.equal(ids.size, ENDPOINTS.length);
  });

  for (const endpoint of ENDPOINTS.filter((one) => !isPublic(one))) {
    it(`${nameOf(endpoint)} refuses whoever brings nothing, a cookie, or no token of this API`, async () => {
      const session = { cookie: `gatehouse_session=${'a'.repeat(43)}` };
      for (const options of [
        {},
        { headers: session },
        { token: 'nonsense' },
        { token: `${person.token.slice(0, -4)}AAAA` },
        { token: person.refreshToken },
        { token: stranger.token },
      ]) {
        const { status, body } = await send(endpoint, person.id, options);

        assert.equal(status, 401, JSON.stringify(body));
      }
    });

    it(`${nameOf(endpoint)} refuses a token without its scope`, async () => {
      const { status, body, headers } = await send(endpoint, administrator.id, { token: narrow });

      // A token without any scope of the API is none for it.
      assert.equal(status, 401, JSON.stringify(body));
      assert.match(headers.get('www-authenticate') ?? '', /error="invalid_token"/);
      const readOnly = (await world.login(administrator.email, 'tokens:validate')).body.access_token;
      if (endpoint.description.permission === 'tokens:validate') return;
      const refused = await send(endpoint, administrator.id, { token: readOnly });
      assert.equal(refused.status, 403, JSON.stringify(refused.body));
      assert.match(
        refused.headers.get('www-authenticate') ?? '',
        /error="insufficient_scope", scope="\w+:\w+"/,
      );
    });
  }

  for (const endpoint of ENDPOINTS.filter((one) => !isPublic(one) && hasId(one))) {
    it(`${nameOf(endpoint)} answers 404 for what another tenant has and for what nobody has`, async () => {
      for (const id of [stranger.id, newId(), 'no-id', "1' OR '1'='1"]) {
        const { status, body } = await send(endpoint, encodeURIComponent(id), {
          token: administrator.token,
          ...ifMatch(endpoint),
        });

        assert.equal(status, 404, `${id}: ${JSON.stringify(body)}`);
      }
    });

    it(`${nameOf(endpoint)} keeps people from what is somebody else's`, async () => {
      const { status } = await send(endpoint, administrator.id, {
        token: person.token,
        ...ifMatch(endpoint),
      });

      assert.ok(status === 404 || status === 403, String(status));
    });
  }

  for (const endpoint of ENDPOINTS.filter(({ description }) => description.body)) {
    it(`${nameOf(endpoint)} refuses bodies that are malformed, of another type, or have unknown members`, async () => {
      const options = { token: administrator.token, ...ifMatch(endpoint) };
      const refusal = async (body: unknown, headers: Record<string, string> = {}) => {
        const all = { ...ifMatch(endpoint).headers, ...headers };
        const answer = await send(endpoint, person.id, { ...options, body, headers: all });
        return { status: answer.status, code: answer.body?.code };
      };

      assert.deepEqual(await refusal('{"a":'), { status: 400, code: 'http.malformed_body' });
      assert.deepEqual(await refusal('{"__proto__":{"isAdministrator":true}}'), {
        status: 400,
        code: 'http.malformed_body',
      });
      assert.deepEqual(
        await refusal({ ...bodyOf(endpoint).body, tenant_id: 'x', roles: ['administrator'] }),
        {
          status: 400,
          code: 'http.invalid_parameters',
        },
      );
      assert.deepEqual(await refusal('a=b', { 'content-type': 'application/x-www-form-urlencoded' }), {
        status: 415,
        code: 'http.unsupported_media_type',
      });
      assert.deepEqual(await refusal(JSON.stringify({ a: 'x'.repeat(300_000) })), {
        status: 413,
        code: 'http.body_too_large',
      });
    });
  }

  for (const endpoint of ENDPOINTS) {
    it(`${nameOf(endpoint)} refuses unknown parameters, and callers who do not take JSON`, async () => {
      const path = at(endpoint, person.id);
      const options = { token: administrator.token, ...bodyOf(endpoint), ...ifMatch(endpoint) };
      const unknown = await world.call(endpoint.method.toUpperCase(), `${path}?surprise=1`, options);
      const twice = await world.call(endpoint.method.toUpperCase(), `${path}?limit=1&limit=2`, options);
      const html = await world.call(endpoint.method.toUpperCase(), path, {
        ...options,
        headers: { ...ifMatch(endpoint).headers, accept: 'text/html' },
      });

      assert.equal(unknown.status, 400);
      assert.equal(unknown.body.code, 'http.invalid_parameters');
      assert.equal(twice.body.code, 'http.duplicate_parameter');
      assert.equal(html.status, 406);
    });

    it(`${nameOf(endpoint)} has examples that its own schemas accept`, () => {
      const { example, params, query, body, reply } = endpoint.description;
      if (params) params.parse(example.params);
      if (query) query.parse(example.query ?? {});
      if (body) body.parse(example.body);
      if (reply.schema) assert.deepEqual(reply.schema.parse(example.reply), example.reply);
    });
  }
});
