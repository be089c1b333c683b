import type { Command } from 'commander';
import { metadataSchema } from '../../clients/client-metadata.ts';
import type { MetadataField } from '../../clients/client-metadata.ts';
import { UsageError } from '../cli-io.ts';
import type { CliIo } from '../cli-io.ts';
import { collect, integer } from '../options.ts';
import { readJsonObject } from '../read-input.ts';

/** Client metadata as flags; whatever has none, or is easier that way, comes in with `--metadata`. */

type Kind = 'text' | 'list' | 'flag' | 'seconds' | 'json';

interface Flag {
  flag: string;
  placeholder?: string;
  kind: Kind;
}

const FLAGS: Readonly<Partial<Record<MetadataField, Flag>>> = {
  application_type: { flag: 'type', placeholder: 'web|native', kind: 'text' },
  redirect_uris: { flag: 'redirect-uri', placeholder: 'uri', kind: 'list' },
  post_logout_redirect_uris: { flag: 'post-logout-redirect-uri', placeholder: 'uri', kind: 'list' },
  grant_types: { flag: 'grant-type', placeholder: 'type', kind: 'list' },
  token_endpoint_auth_method: { flag: 'auth-method', placeholder: 'method', kind: 'text' },
  token_endpoint_auth_signing_alg: { flag: 'auth-signing-alg', placeholder: 'alg', kind: 'text' },
  jwks: { flag: 'jwks', placeholder: 'json', kind: 'json' },
  jwks_uri: { flag: 'jwks-uri', placeholder: 'uri', kind: 'text' },
  scope: { flag: 'scope', placeholder: 'scopes', kind: 'text' },
  id_token_signed_response_alg: { flag: 'id-token-alg', placeholder: 'alg', kind: 'text' },
  default_max_age: { flag: 'default-max-age', placeholder: 'seconds', kind: 'seconds' },
  require_auth_time: { flag: 'require-auth-time', kind: 'flag' },
  require_pushed_authorization_requests: { flag: 'require-par', kind: 'flag' },
  dpop_bound_access_tokens: { flag: 'dpop-bound', kind: 'flag' },
  backchannel_logout_uri: { flag: 'backchannel-logout-uri', placeholder: 'uri', kind: 'text' },
  backchannel_logout_session_required: { flag: 'backchannel-logout-session-required', kind: 'flag' },
  initiate_login_uri: { flag: 'initiate-login-uri', placeholder: 'uri', kind: 'text' },
  client_uri: { flag: 'client-uri', placeholder: 'uri', kind: 'text' },
  logo_uri: { flag: 'logo-uri', placeholder: 'uri', kind: 'text' },
  policy_uri: { flag: 'policy-uri', placeholder: 'uri', kind: 'text' },
  tos_uri: { flag: 'tos-uri', placeholder: 'uri', kind: 'text' },
  contacts: { flag: 'contact', placeholder: 'email', kind: 'list' },
};

export interface ClientOptions {
  name?: string;
  firstParty?: boolean;
  defaultScope?: string;
  defaultResource?: string;
  metadata?: string;
  /** The flags of `FLAGS`, in the names commander gives them. */
  [flag: string]: unknown;
}

/** Adds the options that creating and updating have in common. */
export function addClientOptions(command: Command): Command {
  for (const [field, { flag, placeholder, kind }] of metadataFlags()) {
    const description = descriptionOf(field);
    if (kind === 'flag') {
      command.option(`--${flag}`, description).option(`--no-${flag}`, 'the opposite');
    } else if (kind === 'list') {
      command.option(`--${flag} <${placeholder}>`, `${description} Repeat it for several.`, collect);
    } else if (kind === 'seconds') {
      command.option(`--${flag} <${placeholder}>`, description, integer(0, 31_536_000));
    } else {
      const sources = kind === 'json' ? ' JSON, a file with it, or -.' : '';
      command.option(`--${flag} <${placeholder}>`, `${description}${sources}`);
    }
  }
  return command
    .option('--first-party', 'One of our own: its users are not asked for consent.')
    .option('--no-first-party', 'the opposite')
    .option('--default-scope <scopes>', 'The scope of a request that names none; "" for none.')
    .option('--default-resource <identifier>', 'The resource of a request that names none; "" for none.')
    .option(
      '--metadata <json>',
      'Client metadata in the names of RFC 7591: JSON, a file with it, or -. Flags win over it.',
    );
}

/**
 * @returns metadata from `--metadata` and the flags, and what a registration document says beside it
 * @throws {UsageError} when the JSON is none, or holds what does not belong there
 */
export async function readClientOptions(io: CliIo, options: ClientOptions) {
  const document =
    options.metadata === undefined ? {} : await readJsonObject(io, options.metadata, '--metadata');
  const { client_id: clientId, client_name: documentName, ...metadata } = document;
  for (const [field, { flag, kind }] of metadataFlags()) {
    const value = options[camelCase(flag)];
    if (value === undefined) continue;
    metadata[field] =
      kind === 'json' && typeof value === 'string' ? await readJsonObject(io, value, `--${flag}`) : value;
  }
  return {
    clientId: optionalText(clientId, 'client_id'),
    name: options.name ?? optionalText(documentName, 'client_name'),
    metadata,
    firstParty: options.firstParty,
    defaultScope: nullIfEmpty(options.defaultScope),
    defaultResource: nullIfEmpty(options.defaultResource),
  };
}

function metadataFlags(): [MetadataField, Flag][] {
  return metadataSchema.keyof().options.flatMap((field) => {
    const flag = FLAGS[field];
    return flag ? [[field, flag]] : [];
  });
}

function descriptionOf(field: MetadataField): string {
  return metadataSchema.shape[field].meta()?.description ?? field;
}

function optionalText(value: unknown, name: string): string | undefined {
  if (value === undefined || typeof value === 'string') return value;
  throw new UsageError(`--metadata: ${name} must be text`);
}

function nullIfEmpty(text: string | undefined): string | null | undefined {
  return text === '' ? null : text;
}

function camelCase(flag: string): string {
  return flag.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
