import type { Location } from './locations.ts';

const EARTH_RADIUS_KM = 6371;
/** Faster than airliners with the wind behind them. */
const FASTEST_KM_PER_HOUR = 1100;
/** Networks have their addresses in one place and their users in another; nearer than this says nothing. */
const NEAR_KM = 500;

/** Whether nobody can have got from one place to the other in that time. In doubt, they can. */
export function isImpossibleTravel(from: Location, to: Location, seconds: number): boolean {
  const surelyKm = distanceKm(from, to) - from.radiusKm - to.radiusKm;
  return surelyKm > NEAR_KM && surelyKm > (Math.max(0, seconds) / 3600) * FASTEST_KM_PER_HOUR;
}

/** Along the surface of a sphere, by the haversine formula. */
export function distanceKm(from: Location, to: Location): number {
  const [fromLatitude, toLatitude] = [radians(from.latitude), radians(to.latitude)];
  const north = Math.sin((toLatitude - fromLatitude) / 2) ** 2;
  const east = Math.sin(radians(to.longitude - from.longitude) / 2) ** 2;
  const chord = north + Math.cos(fromLatitude) * Math.cos(toLatitude) * east;
  return 2 * EARTH_RADIUS_KM * Math.asin(Math.min(1, Math.sqrt(chord)));
}

function radians(degrees: number): number {
  return (degrees * Math.PI) / 180;
}
