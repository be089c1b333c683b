import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';
import type { ResourcePatch } from '../../resources/resource-input.ts';
import { collect, integerOrDefault } from '../options.ts';

interface ScopeOption {
  name: string;
  description: string;
}

export interface ResourceOptions {
  name?: string;
  scope?: ScopeOption[];
  clearScopes?: boolean;
  format?: string;
  ttl?: number | 'default';
  signingAlg?: string;
  introspectionClient?: string[];
  clearIntrospectionClients?: boolean;
}

export function addResourceOptions(command: Command): Command {
  return command
    .option('--name <name>', 'What people see of it on the consent screen.')
    .option(
      '--scope <name[=description]>',
      'A scope of the API, with what the consent screen says about it. Repeat it for several.',
      collectScope,
    )
    .option('--format <jwt|opaque>', 'What its access tokens are: `jwt` (default) or `opaque`.')
    .option(
      '--ttl <seconds>',
      "How long its access tokens live; `default` for the server's setting.",
      integerOrDefault(10, 86_400),
    )
    .option('--signing-alg <alg>', 'How its JWTs are signed: RS256, ES256 or EdDSA; `default` for RS256.')
    .option(
      '--introspection-client <client-id>',
      'A client that speaks for the API and may introspect its tokens. Repeat it for several.',
      collect,
    );
}

export function readResourceOptions(options: ResourceOptions): ResourcePatch {
  return {
    name: options.name,
    scopes: options.clearScopes ? [] : options.scope,
    accessTokenFormat: options.format,
    accessTokenTtlSeconds: options.ttl === 'default' ? null : options.ttl,
    signingAlg: options.signingAlg === 'default' ? null : options.signingAlg,
    introspectionClientIds: options.clearIntrospectionClients ? [] : options.introspectionClient,
  };
}

function collectScope(text: string, previous: readonly ScopeOption[] | undefined): ScopeOption[] {
  const [, name = '', description = ''] = /^([^=]+)(?:=(.*))?$/s.exec(text) ?? [];
  if (name === '') throw new InvalidArgumentError('It must be a name, or name=description.');
  return [...(previous ?? []), { name, description }];
}
