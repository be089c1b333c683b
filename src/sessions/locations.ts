import { readFileSync } from 'node:fs';
import { Reader } from 'mmdb-lib';
import type { CityResponse } from 'mmdb-lib';

/** Where an address roughly is. */
export interface Location {
  /** Degrees, north and east. */
  latitude: number;
  longitude: number;
  /** How far off that may be. */
  radiusKm: number;
}

/** @returns undefined for what is nowhere: private addresses, and those that the file does not know */
export type LocateAddress = (ip: string) => Location | undefined;

/** Where the file does not say how exact it is: as far as a country may reach. */
const UNKNOWN_RADIUS_KM = 500;

/**
 * Locations from a file in the format of MaxMind (https://maxmind.github.io/MaxMind-DB/, version 2), such as
 * GeoLite2 City. It is read whole when the process starts: a newer one counts from the next start or reload.
 *
 * @throws {Error} when there is no such file, or it is something else
 */
export function locationsFrom(path: string): LocateAddress {
  const reader = new Reader<CityResponse>(readFileSync(path));

  return (ip) => {
    // Files of other makers leave out what MaxMind's have.
    const location: Partial<CityResponse['location']> = lookUp(reader, ip)?.location ?? {};
    const { latitude, longitude, accuracy_radius: radiusKm = UNKNOWN_RADIUS_KM } = location;
    if (latitude === undefined || longitude === undefined) return undefined;
    return { latitude, longitude, radiusKm };
  };
}

/** An IPv6 address is nowhere in a file for IPv4, which the reader says by throwing. */
function lookUp(reader: Reader<CityResponse>, ip: string): CityResponse | null {
  try {
    return reader.get(ip);
  } catch {
    return null;
  }
}
