// Errors are defined where they arise, all over the server.
import '../../src/app.ts';
import '../../src/services.ts';
import { openApiDocument } from '../../src/management-api/openapi.ts';
import { apiRouter } from '../../src/management-api/router.ts';
import type { ApiDeps } from '../../src/management-api/router.ts';

/** Nothing is called, so nothing is wired. */
export const exampleRouter = () => apiRouter({} as ApiDeps);

/** Of a server at the address that the documentation uses everywhere. */
export function generateOpenApi(): string {
  const document = openApiDocument(exampleRouter(), { issuer: 'https://auth.example.com', version: '1' });
  return `${JSON.stringify(document, null, 2)}\n`;
}
