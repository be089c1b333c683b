/**
 * What a person allowed an app, remembered per app, scope and resource until they take it back. A grant
 * of the protocol lives and dies with its tokens; the consent outlives it, so that nobody is asked the
 * same question at every sign-in.
 */
export interface Consent {
  scopes: string[];
  /** Single claims asked for by the `claims` parameter (OpenID Connect Core §5.5). */
  claims: string[];
  /** Resource indicator -> scopes. */
  resources: Record<string, string[]>;
}

export const NO_CONSENT: Consent = { scopes: [], claims: [], resources: {} };

export function mergeConsents(a: Consent, b: Consent): Consent {
  const resources = { ...a.resources };
  for (const [resource, scopes] of Object.entries(b.resources)) {
    resources[resource] = union(resources[resource] ?? [], scopes);
  }
  return { scopes: union(a.scopes, b.scopes), claims: union(a.claims, b.claims), resources };
}

/** Whether everything that is asked for was allowed before. */
export function coversConsent(given: Consent, asked: Consent): boolean {
  return (
    asked.scopes.every((scope) => given.scopes.includes(scope)) &&
    asked.claims.every((claim) => given.claims.includes(claim)) &&
    Object.entries(asked.resources).every(([resource, scopes]) =>
      scopes.every((scope) => given.resources[resource]?.includes(scope)),
    )
  );
}

function union(a: readonly string[], b: readonly string[]): string[] {
  return [...new Set([...a, ...b])];
}
