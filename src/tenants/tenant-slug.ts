import { DEFAULT_TENANT_SLUG } from './tenant.ts';

// The same rule as the CHECK on tenants.slug. It is also a valid DNS label (RFC 1035 §2.3.1), so that a tenant can
// move to a host name of its own.
const SLUG = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

// Names that would pass for the product, its operator or a part of the server when they show up in an issuer, and
// host names that are usually taken.
const RESERVED = new Set([
  DEFAULT_TENANT_SLUG,
  'account',
  'admin',
  'api',
  'assets',
  'auth',
  'console',
  'docs',
  'gatehouse',
  'health',
  'help',
  'internal',
  'login',
  'mail',
  'metrics',
  'oauth',
  'oidc',
  'root',
  'static',
  'status',
  'support',
  'system',
  'well-known',
  'www',
]);

export function isSlug(text: string): boolean {
  return SLUG.test(text);
}

export function isReservedSlug(slug: string): boolean {
  // An A-label (RFC 5890 §2.3.2.1) shows as other letters than it is written with: a way to look like another tenant.
  return RESERVED.has(slug) || slug.startsWith('xn--');
}
