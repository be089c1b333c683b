import { randomBytes } from 'node:crypto';
import type { FieldError } from '../lib/errors.ts';
import type { Client } from './client.ts';
import { parseClientMetadata } from './client-metadata.ts';
import { fail } from './client-errors.ts';

/** What a caller says about a client; checked and completed here, before anything is stored. */
export interface NewClient extends ClientSettings {
  /** Default: a generated one. */
  clientId?: string | undefined;
  name: string;
  /** RFC 7591 names; defaults for what is missing. */
  metadata?: Readonly<Record<string, unknown>> | undefined;
}

/** What is left out stays as it is. */
export interface ClientPatch extends ClientSettings {
  name?: string | undefined;
  /** Merged into what there is; null takes a member out, so that its default applies. */
  metadata?: Readonly<Record<string, unknown>> | undefined;
}

interface ClientSettings {
  firstParty?: boolean | undefined;
  defaultScope?: string | null | undefined;
  defaultResource?: string | null | undefined;
}

export type ClientFields = Pick<
  Client,
  'name' | 'metadata' | 'firstParty' | 'defaultScope' | 'defaultResource'
>;

// Needs no encoding in a header, a form or a path.
const CLIENT_ID = /^[A-Za-z0-9][A-Za-z0-9._~-]{0,127}$/;
const UUID_LIKE = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
// Control and format characters (bidirectional overrides among them) could make one name look like another.
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/u;
const SCOPE_LIST = /^[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*$/;

/** Not a UUID: users have those, and a client's id must never equal a user's `sub` (RFC 9068 §5). */
export function generatedClientId(): string {
  return randomBytes(12).toString('hex');
}

/** @throws {AppError} `client.invalid` */
export function checkClientId(clientId: string): void {
  const message = clientIdFault(clientId);
  if (message) throw fail('invalid', { errors: [{ path: '/client_id', message }] });
}

function clientIdFault(clientId: string): string | undefined {
  if (!CLIENT_ID.test(clientId)) {
    return 'must be up to 128 letters, digits and . _ ~ -, starting with a letter or digit';
  }
  return UUID_LIKE.test(clientId) ? 'must not look like a UUID; those are the ids of users' : undefined;
}

/**
 * @returns everything that is registered about a client, complete
 * @throws {AppError} `client.invalid` with every fault, pointers as in a registration request (RFC 7591)
 */
export function checkClientFields(
  given: Omit<NewClient, 'clientId'>,
  options: { allowLocalHttp: boolean },
): ClientFields {
  const { metadata, errors = [] } = parseClientMetadata(given.metadata ?? {}, options);
  const name = given.name.trim();
  const defaultScope = given.defaultScope ?? null;
  const defaultResource = given.defaultResource ?? null;
  const faults: FieldError[] = [...errors];

  if (name.length === 0 || name.length > 120 || UNPRINTABLE.test(name)) {
    faults.push({ path: '/client_name', message: 'must be 1 to 120 printable characters' });
  }
  const scopeFault = defaultScope === null ? undefined : defaultScopeFault(defaultScope, metadata?.scope);
  if (scopeFault) faults.push({ path: '/default_scope', message: scopeFault });
  if (!metadata || faults.length > 0) throw fail('invalid', { errors: faults });

  return { name, metadata, firstParty: given.firstParty ?? false, defaultScope, defaultResource };
}

function defaultScopeFault(scope: string, allowed: string | undefined): string | undefined {
  if (!SCOPE_LIST.test(scope)) return 'must be scope names separated by single spaces';
  const outside = scope
    .split(' ')
    .filter((name) => allowed !== undefined && !allowed.split(' ').includes(name));
  return outside.length > 0 ? `names scopes outside "scope": ${outside.join(' ')}` : undefined;
}

/** The fields of a client after a patch, still unchecked. */
export function applyPatch(client: Client, patch: ClientPatch): Omit<NewClient, 'clientId'> {
  // What follows from the grant types follows from the new ones, unless the caller says otherwise.
  const { response_types: _derived, ...kept } = client.metadata;
  return {
    name: patch.name ?? client.name,
    firstParty: patch.firstParty ?? client.firstParty,
    defaultScope: patch.defaultScope === undefined ? client.defaultScope : patch.defaultScope,
    defaultResource: patch.defaultResource === undefined ? client.defaultResource : patch.defaultResource,
    metadata: { ...kept, ...patch.metadata },
  };
}
