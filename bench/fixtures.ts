/** What both servers are given, so that one row drives either. */

export const REDIRECT_URI = 'https://app.bench.example/callback';
export const SERVICE_CLIENT_ID = 'bench-service';
export const WEB_CLIENT_ID = 'bench-web';
/** In whose name the API issues tokens. */
export const APP_CLIENT_ID = 'bench-app';
export const USER_COUNT = 128;
/** More than the hundred that the protocol engine's own cache holds. */
export const SERVICE_COUNT = 150;
export const SCOPE = 'things:read';

/** APIs by the kind of access token that is issued for them. */
export const RESOURCES = {
  rs256: 'https://rs256.bench.example',
  es256: 'https://es256.bench.example',
  opaque: 'https://opaque.bench.example',
} as const;

export type ResourceKind = keyof typeof RESOURCES;

export interface ClientCredentials {
  id: string;
  secret: string;
}

/** Everything a row has to know of a server that is up. */
export interface TargetDescription {
  issuer: string;
  /** For `client_credentials`. */
  service: ClientCredentials;
  /** Many that do the same. */
  services: ClientCredentials[];
  /** For people; asks for no consent. */
  web: ClientCredentials;
  users: { email: string; password: string }[];
  /** The database server's main process, when it runs on this machine. */
  postgresPid?: number;
  /** Such as `PostgreSQL 18.0`. */
  store: string;
  /** Of a database that was made large before. */
  filled?: { seconds: number; bytes: number };
}
