import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { createApiMailWorld } from './api-mail-world.ts';
import type { ApiMailWorld } from './api-mail-world.ts';
import { createApiWorld, ENDPOINTS } from './api-world.ts';
import { validRequest } from './valid-requests.ts';

interface Operation {
  operationId: string;
  requestBody?: { content: { 'application/json': { schema: object; example: unknown } } };
  responses: Record<string, { content?: Record<string, { schema: object }> }>;
}

/** As a server publishes it. */
interface Document {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, unknown> };
}

describe('the examples of the OpenAPI document', () => {
  let mailWorld: ApiMailWorld;
  let document: Document;

  before(async () => {
    mailWorld = await createApiMailWorld();
    const response = await fetch(`${mailWorld.world.issuer}/api/v1/openapi.json`);
    document = (await response.json()) as Document;
  });

  after(() => mailWorld.close());

  /** By the published schema alone, not by the code it came from. */
  function assertMatches(schema: object, value: unknown): void {
    const local = (part: unknown): unknown =>
      JSON.parse(JSON.stringify(part).replaceAll('#/components/schemas/', '#/$defs/'));
    const definitions = local(document.components.schemas) as Record<string, object>;
    const checker = z.fromJSONSchema({
      ...(local(schema) as object),
      $defs: definitions,
    } as Parameters<typeof z.fromJSONSchema>[0]);
    const result = checker.safeParse(value);
    assert.ok(result.success, `${JSON.stringify(value)}: ${String(result.error)}`);
  }

  it('are checked by schemas that refuse something', () => {
    const { responses } = document.paths['/auth/me']?.['get'] ?? {};
    const { schema = {} } = responses?.['200']?.content?.['application/json'] ?? {};

    assert.throws(() => assertMatches(schema, { user: { id: 5 } }));
  });

  for (const endpoint of ENDPOINTS) {
    const { id, reply } = endpoint.description;

    it(`work: ${id}`, async () => {
      const operation = document.paths[endpoint.path]?.[endpoint.method];
      assert.equal(operation?.operationId, id);
      const world = await createApiWorld(mailWorld.app);
      const email = `${randomBytes(6).toString('hex')}@example.com`;
      const request = await validRequest(mailWorld, endpoint, { world, email });
      const content = operation.requestBody?.content['application/json'];
      if (content) {
        assert.deepEqual(content.example, endpoint.description.example.body);
        assertMatches(content.schema, request.options.body);
        const sent = request.options.body as object;
        // All that is documented is sent; only what nobody can know beforehand is another value.
        assert.deepEqual(Object.keys(sent).toSorted(), Object.keys(content.example as object).toSorted());
      }

      const answer = await world.call(request.method, request.path, request.options);

      assert.equal(answer.status, reply.status, JSON.stringify(answer.body));
      const published = operation.responses[String(answer.status)];
      assert.ok(published, `${answer.status} is not documented`);
      const { schema } = published.content?.['application/json'] ?? {};
      if (schema) assertMatches(schema, answer.body);
      else assert.equal(answer.body, null);
    });
  }
});
