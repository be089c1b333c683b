import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { z } from 'zod';
import { crossFieldFaults } from './config-faults.ts';
import { cidrs, flag, httpUrl, integer, isLoopback, keyList, mailbox } from './config-values.ts';

/**
 * The environment, validated once. One schema gives the defaults, the checks, the types and the
 * reference in docs/configuration.md. Nothing else reads the environment.
 */

/** In the order of the reference. `secret` variables can also be given as a file, in `<NAME>_FILE`. */
export const environmentSchema = z.object({
  NODE_ENV: z.enum(['development', 'production', 'test']).default('development').meta({
    description:
      'In development everything has a default, secrets are generated into the data directory and the demo runs. Production starts only with its own secrets and has no demo.',
  }),
  PORT: integer(0, 65535).default(3000).meta({ description: 'Port to listen on.' }),
  HOST: z.string().min(1).optional().meta({
    description: 'Address to listen on. Default: `127.0.0.1` in development, `0.0.0.0` in production.',
  }),
  PUBLIC_URL: httpUrl.optional().meta({
    description:
      'URL people and apps reach the server at; the issuer, every link and the cookies come from it and never from a request. Default in development: `http://localhost:<PORT>`. In production it must use https.',
  }),
  DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, 'must start with postgresql://')
    .optional()
    .meta({
      secret: true,
      description:
        'PostgreSQL 15 or later. Without it the embedded PostgreSQL server runs in the data directory, for one node.',
    }),
  GATEHOUSE_WORKERS: integer(1, 256).optional().meta({
    description:
      'Processes that serve. Default: as many as there are cores with a `DATABASE_URL`, 1 with the embedded server. See docs/operations.md.',
  }),
  GATEHOUSE_DATABASE_POOL: integer(2, 500).optional().meta({
    description:
      'Most database connections of each worker. Default: 10, or with many workers fewer, so that together they have no more than 80.',
  }),
  REDIS_URL: z
    .string()
    .regex(/^rediss?:\/\//, 'must start with redis:// or rediss://')
    .optional()
    .meta({
      secret: true,
      description:
        'Redis 7 or later, for several replicas: shared rate-limit counters and word of changes at once. Nothing is lost with it. Without it replicas count in PostgreSQL and look for changes twice a second.',
    }),
  SMTP_URL: z
    .string()
    .regex(/^smtps?:\/\/[^/\s]+/, 'must start with smtp:// or smtps:// and name a server')
    .refine((text) => URL.canParse(text), 'is not a URL')
    .optional()
    .meta({
      secret: true,
      description:
        'Mail server, such as `smtp://user:password@mail.example.com:587`. `smtp://` demands STARTTLS except on loopback or with `?starttls=optional`; `smtps://` is encrypted from the start. Without it mails go to an inbox page in development, and in production nothing that needs mail is offered. See docs/mail.md.',
    }),
  GATEHOUSE_MAIL_FROM: mailbox.optional().meta({
    description:
      'Sender of mails, such as `Acme <no-reply@acme.com>`; a tenant can have its own. Default: `no-reply@` and the host of `PUBLIC_URL`.',
  }),
  GATEHOUSE_DATA_DIR: z.string().min(1).default('.gatehouse').meta({
    description: 'Directory of the embedded database and of the secrets generated in development.',
  }),
  GATEHOUSE_MIGRATE_AT_START: flag.default(true).meta({
    description:
      'Apply pending migrations before serving. Off: run `gatehouse migrate up` in the deployment; the server is not ready until the schema is current.',
  }),
  GATEHOUSE_KEYS: keyList.optional().meta({
    secret: true,
    description:
      'Master keys, comma-separated, each 32 bytes in base64. The first one encrypts and signs cookies, all of them decrypt. To replace a key put the new one in front, run `gatehouse keys rewrap`, then drop the old one.',
  }),
  GATEHOUSE_PEPPERS: keyList.optional().meta({
    secret: true,
    description:
      "Peppers of the password hashes, comma-separated, each 32 bytes in base64. The first one is used for new hashes, all of them verify; an old one can go when nobody's password uses it any more.",
  }),
  TRUST_PROXY: cidrs.default([]).meta({
    description:
      "Networks of the reverse proxies, as comma-separated CIDRs. Only they may tell the client's address (`X-Forwarded-For`).",
  }),
  LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).optional().meta({
    description:
      'Least severe level that is logged. Default: `info` in production, `warn` in development, where the terminal is for people.',
  }),
  GATEHOUSE_OUTBOUND_ALLOW: cidrs.default([]).meta({
    description:
      'Networks that outgoing calls (client JWKS, back-channel logout) may reach besides public addresses, as comma-separated CIDRs. For test benches and private networks.',
  }),
  GATEHOUSE_ACCESS_TOKEN_TTL_SECONDS: integer(10, 86_400).default(600).meta({
    description: 'Life of access tokens; a resource can set its own.',
  }),
  GATEHOUSE_REFRESH_IDLE_SECONDS: integer(60, 31_536_000).default(1_209_600).meta({
    description: 'A refresh token that is not used for this long expires (14 days).',
  }),
  GATEHOUSE_REFRESH_ABSOLUTE_SECONDS: integer(60, 157_680_000).default(7_776_000).meta({
    description: 'However often it is refreshed, a grant ends after this long (90 days).',
  }),
  GATEHOUSE_REFRESH_GRACE_SECONDS: integer(0, 120).default(10).meta({
    description:
      'A client that lost the answer to a refresh gets the same successor again for this long. 0: none, every reuse ends the grant.',
  }),
  GATEHOUSE_SESSION_IDLE_SECONDS: integer(60, 31_536_000).default(1_209_600).meta({
    description: 'A browser session that is not used for this long ends (14 days).',
  }),
  GATEHOUSE_KEY_ROTATION_DAYS: integer(1, 3650).default(90).meta({
    description: 'Signing keys are replaced after this many days.',
  }),
  GATEHOUSE_JWKS_MAX_AGE_SECONDS: integer(1, 86_400).default(300).meta({
    description:
      'How long others may cache the JWKS. A new signing key is published at least this long before it signs.',
  }),
  GATEHOUSE_PASSWORD_MIN_LENGTH: integer(8, 64).default(15).meta({
    description: 'Fewest characters of a password that is the only factor (NIST SP 800-63B-4 §3.1.1).',
  }),
  GATEHOUSE_PASSWORD_MIN_LENGTH_WITH_MFA: integer(8, 64).default(8).meta({
    description: 'Fewest characters of a password beside a second factor.',
  }),
  GATEHOUSE_PASSWORD_BLOCKLIST: z.string().min(1).optional().meta({
    description:
      'File with passwords that may not be used, one a line, beside the common ones that come with Gatehouse. It takes 3.6 MB of memory a million lines.',
  }),
  GATEHOUSE_GEOIP_FILE: z.string().min(1).optional().meta({
    description:
      'File that tells where addresses are, in the MaxMind DB format with cities (GeoLite2 City, for instance). With it, sign-ins from where nobody can have got to since the last one are recorded. It is read at the start.',
  }),
  GATEHOUSE_PASSWORD_HIBP: flag.default(false).meta({
    description:
      'Look new passwords up among breached ones. The service learns the first five hexadecimal digits of a hash; while it is away passwords pass.',
  }),
  GATEHOUSE_PASSWORD_HIBP_URL: httpUrl.default('https://api.pwnedpasswords.com/range').meta({
    description: 'The service, which answers as that of Have I Been Pwned does.',
  }),
  GATEHOUSE_PASSWORD_HASHERS: integer(1, 64).optional().meta({
    description:
      'Passwords hashed at the same time by each worker. More wait in a bounded queue, then get 503 with `Retry-After`. Default: the cores there are for a worker, 2 at most.',
  }),
  GATEHOUSE_USER_ERASE_DAYS: integer(0, 3650).default(30).meta({
    description:
      'A deleted user can be restored for this long; then profile, credentials and everything else but the id in the audit trail is erased.',
  }),
  GATEHOUSE_MANAGEMENT_PORT: integer(0, 65535).optional().meta({
    description:
      'Port of the metrics (`/metrics`), which is not meant for the internet. 0: none. Default: 9464 in production, none in development.',
  }),
  GATEHOUSE_MANAGEMENT_HOST: z.string().min(1).optional().meta({
    description: 'Address of the management port. Default: that of `HOST`.',
  }),
  GATEHOUSE_RATE_LIMITS: flag.default(true).meta({
    description:
      'Limits on who asks or guesses too often; see docs/rate-limits.md. Off is for benchmarks: then nothing keeps anybody from guessing passwords.',
  }),
  GATEHOUSE_RATE_LIMIT_PAGES: integer(1, 1_000_000).default(3000).meta({
    description:
      'Requests to pages, and authorization requests, per minute and network (an IPv4 address or an IPv6 /64).',
  }),
  GATEHOUSE_RATE_LIMIT_FORMS: integer(1, 1_000_000).default(600).meta({
    description: 'Forms sent per minute and network.',
  }),
  GATEHOUSE_RATE_LIMIT_REFUSALS: integer(1, 1_000_000).default(3000).meta({
    description:
      'Refused requests of apps and APIs (token, introspection, revocation, userinfo) per minute and network. What succeeds counts only for clients that have no credentials.',
  }),
  GATEHOUSE_RATE_LIMIT_CLIENT: integer(1, 1_000_000).default(100).meta({
    description:
      'Wrong secrets and assertions per minute and client, from networks this client has not authenticated from in the last hour.',
  }),
  GATEHOUSE_RATE_LIMIT_CLIENT_NETWORK: integer(1, 1_000_000).default(1000).meta({
    description:
      'Refused requests per minute of one client and network, where the client is named and proves nothing: public clients, and authorization requests.',
  }),
  GATEHOUSE_SIGN_IN_ATTEMPTS: integer(3, 100).default(10).meta({
    description:
      'Failed sign-ins in a row at one account before the next has to wait, first 30 seconds, then twice as long each time up to an hour.',
  }),
  GATEHOUSE_SIGN_IN_LOCK_AFTER: integer(3, 100).default(100).meta({
    description:
      'Failed sign-ins in a row that lock the account for browsers that have not signed in to it before (NIST SP 800-63B-4 §3.2.2 allows 100).',
  }),
  GATEHOUSE_SIGN_IN_LOCK_SECONDS: integer(60, 31_536_000).default(2_592_000).meta({
    description:
      'Such a lock ends after this long (30 days), or earlier through its owner or `gatehouse user unlock`.',
  }),
  GATEHOUSE_SIGN_IN_ATTEMPTS_PER_NETWORK: integer(3, 1_000_000).default(100).meta({
    description:
      'Failed sign-ins within ten minutes from one network, at whatever accounts; ten times as many from the networks around it.',
  }),
  GATEHOUSE_CONNECTIONS_PER_NETWORK: integer(10, 1_000_000).default(1000).meta({
    description:
      'Connections that one network may hold open at each worker. Proxies named in `TRUST_PROXY` are not limited.',
  }),
  GATEHOUSE_DRAIN_SECONDS: integer(1, 600).default(20).meta({
    description: 'After SIGTERM, how long requests that are under way may take to finish.',
  }),
  GATEHOUSE_DEMO: flag.optional().meta({
    description:
      'The demo application and its user. Default: on in development. Not available in production.',
  }),
});

export type Environment = z.output<typeof environmentSchema>;

/** Everything about the process that an operator decides; frozen. */
export type Config = Readonly<ReturnType<typeof toConfig>>;

/** Names every fault of the environment, not only the first. */
export class ConfigError extends Error {
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(
      `The configuration has ${faults.length === 1 ? 'a fault' : `${faults.length} faults`}:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`,
    );
    this.name = 'ConfigError';
    this.faults = faults;
  }
}

/**
 * @param env variables by name; an empty one counts as absent, and `<NAME>_FILE` names a file whose content (less
 *   surrounding white space) is the value of a secret
 * @throws {ConfigError} with every fault
 */
export function loadConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const faults: string[] = [];
  const given: Record<string, string> = {};

  for (const [name, field] of Object.entries(environmentSchema.shape)) {
    const file = isSecret(field) ? env[`${name}_FILE`] : undefined;
    if (file && env[name]) faults.push(`${name}: set either ${name} or ${name}_FILE, not both`);
    const value = file ? readSecretFile(name, file, faults) : env[name];
    if (value !== undefined && value !== '') given[name] = value;
  }

  const parsed = environmentSchema.safeParse(given);
  if (!parsed.success)
    faults.push(...parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`));
  // Rules over several variables read what is given even where another one is at fault, so that one start reports all.
  faults.push(...crossFieldFaults(parsed.success ? parsed.data : lenient(given)));
  if (!parsed.success || faults.length > 0) throw new ConfigError(faults);

  return Object.freeze(toConfig(parsed.data));
}

export function isSecret(field: z.ZodType): boolean {
  return field.meta()?.['secret'] === true;
}

function readSecretFile(name: string, file: string, faults: string[]): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (err) {
    faults.push(
      `${name}_FILE: cannot read ${file} (${err instanceof Error && 'code' in err ? String(err.code) : 'unknown error'})`,
    );
    return undefined;
  }
}

/** The given variables that are valid by themselves, defaults for the others. */
function lenient(given: Record<string, string>): Environment {
  const valid = Object.entries(given).filter(
    ([name, value]) =>
      environmentSchema.shape[name as keyof typeof environmentSchema.shape].safeParse(value).success,
  );
  return environmentSchema.parse(Object.fromEntries(valid));
}

/** PostgreSQL takes a hundred unless it is told otherwise. */
const MOST_CONNECTIONS = 80;

function toConfig(env: Environment) {
  const production = env.NODE_ENV === 'production';
  const cores = availableParallelism();
  const workers = env.GATEHOUSE_WORKERS ?? (env.DATABASE_URL === undefined ? 1 : cores);
  const host = env.HOST ?? (production ? '0.0.0.0' : '127.0.0.1');
  return {
    mode: env.NODE_ENV,
    production,
    host,
    port: env.PORT,
    publicUrl: env.PUBLIC_URL ?? `http://localhost:${env.PORT}`,
    databaseUrl: env.DATABASE_URL,
    workers,
    databasePool:
      env.GATEHOUSE_DATABASE_POOL ?? Math.max(2, Math.min(10, Math.floor(MOST_CONNECTIONS / workers))),
    redisUrl: env.REDIS_URL,
    mail: toMail(env),
    dataDir: resolve(env.GATEHOUSE_DATA_DIR),
    migrateAtStart: env.GATEHOUSE_MIGRATE_AT_START,
    keys: env.GATEHOUSE_KEYS ?? [],
    peppers: env.GATEHOUSE_PEPPERS ?? [],
    trustProxy: env.TRUST_PROXY,
    logLevel: env.LOG_LEVEL ?? (production ? 'info' : 'warn'),
    outboundAllow: env.GATEHOUSE_OUTBOUND_ALLOW,
    accessTokenTtlSeconds: env.GATEHOUSE_ACCESS_TOKEN_TTL_SECONDS,
    refreshIdleSeconds: env.GATEHOUSE_REFRESH_IDLE_SECONDS,
    refreshAbsoluteSeconds: env.GATEHOUSE_REFRESH_ABSOLUTE_SECONDS,
    refreshGraceSeconds: env.GATEHOUSE_REFRESH_GRACE_SECONDS,
    sessionIdleSeconds: env.GATEHOUSE_SESSION_IDLE_SECONDS,
    keyRotationDays: env.GATEHOUSE_KEY_ROTATION_DAYS,
    jwksMaxAgeSeconds: env.GATEHOUSE_JWKS_MAX_AGE_SECONDS,
    passwordMinLength: env.GATEHOUSE_PASSWORD_MIN_LENGTH,
    passwordMinLengthWithMfa: env.GATEHOUSE_PASSWORD_MIN_LENGTH_WITH_MFA,
    passwordBlocklist: env.GATEHOUSE_PASSWORD_BLOCKLIST,
    geoipFile: env.GATEHOUSE_GEOIP_FILE,
    passwordHibpUrl: env.GATEHOUSE_PASSWORD_HIBP ? `${env.GATEHOUSE_PASSWORD_HIBP_URL}/` : undefined,
    passwordHashers: env.GATEHOUSE_PASSWORD_HASHERS ?? Math.min(2, Math.ceil(cores / workers)),
    userEraseDays: env.GATEHOUSE_USER_ERASE_DAYS,
    management: toManagement(env, host),
    rateLimits: env.GATEHOUSE_RATE_LIMITS
      ? {
          pages: env.GATEHOUSE_RATE_LIMIT_PAGES,
          forms: env.GATEHOUSE_RATE_LIMIT_FORMS,
          refusals: env.GATEHOUSE_RATE_LIMIT_REFUSALS,
          client: env.GATEHOUSE_RATE_LIMIT_CLIENT,
          clientNetwork: env.GATEHOUSE_RATE_LIMIT_CLIENT_NETWORK,
        }
      : undefined,
    signInLimits: env.GATEHOUSE_RATE_LIMITS
      ? {
          perAccount: env.GATEHOUSE_SIGN_IN_ATTEMPTS,
          lockAfter: env.GATEHOUSE_SIGN_IN_LOCK_AFTER,
          lockSeconds: env.GATEHOUSE_SIGN_IN_LOCK_SECONDS,
          perNetwork: env.GATEHOUSE_SIGN_IN_ATTEMPTS_PER_NETWORK,
        }
      : undefined,
    connectionsPerNetwork: env.GATEHOUSE_CONNECTIONS_PER_NETWORK,
    drainSeconds: env.GATEHOUSE_DRAIN_SECONDS,
    // In development nobody balances load, and whoever pressed Ctrl-C is waiting.
    graceMs: production ? 1000 : 0,
    demo: env.GATEHOUSE_DEMO ?? env.NODE_ENV === 'development',
  };
}

/** Undefined: mails cannot be sent, so what needs them is not offered. */
function toMail(env: Environment): { smtpUrl: string | undefined; from: string } | undefined {
  if (env.SMTP_URL === undefined && env.NODE_ENV === 'production') return undefined;
  const { hostname } = new URL(env.PUBLIC_URL ?? 'http://localhost');
  const domain = isLoopback(hostname) ? 'localhost' : hostname;
  return { smtpUrl: env.SMTP_URL, from: env.GATEHOUSE_MAIL_FROM ?? `no-reply@${domain}` };
}

const METRICS_PORT = 9464;

function toManagement(env: Environment, host: string): { host: string; port: number } | undefined {
  const port = env.GATEHOUSE_MANAGEMENT_PORT ?? (env.NODE_ENV === 'production' ? METRICS_PORT : 0);
  return port === 0 ? undefined : { host: env.GATEHOUSE_MANAGEMENT_HOST ?? host, port };
}
