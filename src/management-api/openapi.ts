import { STATUS_CODES } from 'node:http';
import { z } from 'zod';
import { createDocument } from 'zod-openapi';
import type { ZodOpenApiObject, ZodOpenApiOperationObject, ZodOpenApiPathsObject } from 'zod-openapi';
import { PERMISSIONS } from '../access/permissions.ts';
import type { EndpointDescription } from '../http/endpoint.ts';
import { endpointDescription } from '../http/endpoint.ts';
import { errorsOf } from './api-errors.ts';
import type { apiRouter } from './router.ts';

/** The OpenAPI 3.1 document of the endpoints: from the schemas that check requests and answers. */

export interface DescribedEndpoint {
  method: 'get' | 'post' | 'patch' | 'delete';
  /** `/users/{id}`, below the server's URL. */
  path: string;
  description: EndpointDescription;
}

const PREFIX = '/api/v1';

const TAGS: Readonly<Record<string, string>> = {
  'Sign-in': 'Tokens for the tenant’s first-party app.',
  'Sign-up and recovery': 'Accounts and passwords by codes that are sent by mail.',
  Checks: 'For services: what a token is worth, and who may do what.',
  Identity: 'Who somebody is and what they may do.',
  Account: 'What people see and change of their account.',
  Users: 'People: who exists, in which state, with which profile.',
};

const problem = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.number().int(),
    detail: z.string().meta({ description: 'What happened and what to do next; not for programs.' }),
    code: z.string().meta({ description: 'Stable: decide by it.' }),
    errors: z
      .array(z.object({ pointer: z.string(), detail: z.string() }))
      .optional()
      .meta({ description: 'The fields at fault, as JSON pointers.' }),
    traceId: z.string().meta({ description: 'The same in the log of the server.' }),
  })
  .meta({ id: 'Problem', description: 'RFC 9457' });

export function endpointsOf(router: ReturnType<typeof apiRouter>): DescribedEndpoint[] {
  return router.stack.flatMap((layer) => {
    const description = layer.stack.map(endpointDescription).find((found) => found !== undefined);
    const method = layer.methods.find((name) => name !== 'HEAD')?.toLowerCase();
    if (!description || typeof layer.path !== 'string') return [];
    const path = layer.path
      .slice(PREFIX.length)
      .replaceAll(/:(\w+)/g, '{$1}')
      .replace(/\/$/, '');
    return [{ method: method as DescribedEndpoint['method'], path, description }];
  });
}

/** @param issuer of the tenant whose API it is */
export function openApiDocument(
  router: ReturnType<typeof apiRouter>,
  { issuer, version }: { issuer: string; version: string },
) {
  const paths: ZodOpenApiPathsObject = {};
  const endpoints = endpointsOf(router);
  for (const { method, path, description } of endpoints) {
    paths[path] = { ...paths[path], [method]: operationOf(description) };
  }
  const used = new Set(endpoints.map(({ description }) => description.tag));
  return createDocument({
    openapi: '3.1.1',
    info: {
      title: 'Gatehouse API',
      version,
      description:
        'Accounts and their administration. Send an access token of this server, issued for this API, as a bearer token.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: `${issuer}${PREFIX}` }],
    tags: [...used].map((name) => ({ name, description: TAGS[name] ?? name })),
    security: [{ oauth2: [] }],
    paths,
    components: { securitySchemes: securitySchemes(issuer) },
  } satisfies ZodOpenApiObject);
}

function securitySchemes(issuer: string) {
  return {
    oauth2: {
      type: 'oauth2',
      description: `Ask for tokens with \`resource=${issuer}${PREFIX}\` (RFC 8707).`,
      flows: {
        authorizationCode: {
          authorizationUrl: `${issuer}/authorize`,
          tokenUrl: `${issuer}/token`,
          refreshUrl: `${issuer}/token`,
          scopes: { ...PERMISSIONS },
        },
        clientCredentials: { tokenUrl: `${issuer}/token`, scopes: { ...PERMISSIONS } },
      },
    },
    clientSecret: {
      type: 'http',
      scheme: 'basic',
      description: 'A service’s own client id and secret.',
    },
  } satisfies NonNullable<ZodOpenApiObject['components']>['securitySchemes'];
}

function operationOf(endpoint: EndpointDescription): ZodOpenApiOperationObject {
  const { id, summary, description, tag, params, query, body, reply, example } = endpoint;
  return {
    operationId: id,
    summary,
    ...(description === undefined ? {} : { description }),
    tags: [tag],
    security: securityOf(endpoint),
    requestParams: {
      ...(params ? { path: params } : {}),
      ...(query ? { query } : {}),
      ...headersOf(endpoint),
    },
    ...(body
      ? {
          requestBody: {
            required: true,
            content: { 'application/json': { schema: body, example: example.body } },
          },
        }
      : {}),
    responses: {
      [reply.status]: {
        description: reply.description,
        ...(endpoint.tagged
          ? { headers: z.object({ ETag: z.string().meta({ description: 'For `If-Match`.' }) }) }
          : {}),
        ...(reply.schema
          ? { content: { 'application/json': { schema: reply.schema, example: example.reply } } }
          : {}),
      },
      ...problemsOf(endpoint),
    },
  };
}

function securityOf({ permission, clientCredentials }: EndpointDescription) {
  if (permission === 'public') return [];
  const alternatives = typeof permission === 'string' ? [permission] : [permission.own, permission.others];
  return [
    ...alternatives.map((scope) => ({ oauth2: [scope] })),
    ...(clientCredentials ? [{ clientSecret: [] }] : []),
  ];
}

function headersOf({ idempotent, ifMatch }: EndpointDescription) {
  const shape = {
    ...(idempotent && {
      'Idempotency-Key': z.string().max(255).optional().meta({
        description: 'A request repeated with the same key gets the first one’s answer, for a day.',
      }),
    }),
    ...(ifMatch && {
      'If-Match': (ifMatch === 'required' ? z.string() : z.string().optional()).meta({
        description: 'The `ETag` of what was read.',
      }),
    }),
  };
  return Object.keys(shape).length === 0 ? {} : { header: z.object(shape) };
}

function problemsOf(endpoint: EndpointDescription): ZodOpenApiOperationObject['responses'] {
  const byStatus = Map.groupBy(errorsOf(endpoint), ({ status }) => status);
  return Object.fromEntries(
    [...byStatus].map(([status, errors]) => [
      status,
      {
        description: `${STATUS_CODES[status]}: ${errors.map(({ code, message }) => `\`${code}\` – ${message}`).join(' · ')}`,
        content: {
          'application/problem+json': {
            schema: problem,
            examples: Object.fromEntries(
              errors.map(({ code, message }) => [
                code,
                {
                  value: {
                    type: 'about:blank',
                    title: STATUS_CODES[status],
                    status,
                    detail: message,
                    code,
                    traceId: '01938f6b-7a1c-7d5e-9b3a-2f4c6d8e0a1c',
                  },
                },
              ]),
            ),
          },
        },
      },
    ]),
  );
}
