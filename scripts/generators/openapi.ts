// Errors are defined where they arise, all over the server.
import '../../src/app.ts';
import '../../src/services.ts';
import { openApiDocument } from '../../src/management-api/openapi.ts';
import { apiRouter } from '../../src/management-api/router.ts';
import type { ApiDeps } from '../../src/management-api/router.ts';

/** Of a server at the address that the documentation uses everywhere. Nothing is called, so nothing is wired. */
export function exampleOpenApi() {
  const router = apiRouter({} as ApiDeps);
  return openApiDocument(router, { issuer: 'https://auth.example.com', version: '1' });
}

export function generateOpenApi(): string {
  return `${JSON.stringify(exampleOpenApi(), null, 2)}\n`;
}
