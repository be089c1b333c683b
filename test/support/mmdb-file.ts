import { writeFileSync } from 'node:fs';

/** https://maxmind.github.io/MaxMind-DB/, version 2: as much as a file of a few IPv4 networks needs. */

type Value = string | number | Map<string, Value>;

const TYPES = { string: 2, double: 3, uint16: 5, uint32: 6, map: 7 };
const RECORD_BITS = 24;
const SEPARATOR = Buffer.alloc(16);
const METADATA_MARKER = Buffer.from('\xab\xcd\xefMaxMind.com', 'latin1');

/** @param networks CIDRs of IPv4, none within another */
export function writeMmdb(
  path: string,
  networks: Readonly<Record<string, { latitude: number; longitude: number; radiusKm?: number }>>,
): void {
  /** Of each node the records for a 0 and a 1: another node, or the place of data. */
  const nodes: [number | Data | undefined, number | Data | undefined][] = [[undefined, undefined]];
  const data: Buffer[] = [];
  let size = 0;

  for (const [cidr, { latitude, longitude, radiusKm }] of Object.entries(networks)) {
    const [address = '', length] = cidr.split('/');
    const bits = address
      .split('.')
      .map((byte) => Number(byte).toString(2).padStart(8, '0'))
      .join('')
      .slice(0, Number(length));
    const location = new Map<string, Value>([
      ['latitude', latitude],
      ['longitude', longitude],
    ]);
    const encoded = encode(new Map([['location', location]]), radiusKm);
    enter(bits, { offset: size });
    data.push(encoded);
    size += encoded.length;
  }

  const tree = Buffer.concat(nodes.map(([zero, one]) => Buffer.concat([record(zero), record(one)])));
  const metadata = Buffer.concat([
    control(TYPES.map, 5),
    text('node_count'),
    unsigned(TYPES.uint32, nodes.length),
    text('record_size'),
    unsigned(TYPES.uint16, RECORD_BITS),
    text('ip_version'),
    unsigned(TYPES.uint16, 4),
    text('database_type'),
    text('Test-City'),
    text('binary_format_major_version'),
    unsigned(TYPES.uint16, 2),
  ]);
  writeFileSync(path, Buffer.concat([tree, SEPARATOR, ...data, METADATA_MARKER, metadata]));

  function enter(bits: string, place: Data): void {
    let at = 0;
    for (const [index, bit] of bits.split('').entries()) {
      const node = nodes[at];
      if (!node) throw new Error('a network lies within another');
      const side = bit === '1' ? 1 : 0;
      if (index === bits.length - 1) {
        node[side] = place;
        return;
      }
      let next = node[side];
      if (next === undefined) node[side] = next = nodes.push([undefined, undefined]) - 1;
      if (typeof next !== 'number') throw new Error('a network lies within another');
      at = next;
    }
  }

  function record(value: number | Data | undefined): Buffer {
    const bytes = Buffer.alloc(RECORD_BITS / 8);
    const nothing = nodes.length;
    const number =
      value === undefined
        ? nothing
        : typeof value === 'number'
          ? value
          : nothing + SEPARATOR.length + value.offset;
    bytes.writeUIntBE(number, 0, bytes.length);
    return bytes;
  }
}

interface Data {
  offset: number;
}

function encode(value: Value, radiusKm?: number): Buffer {
  if (typeof value === 'string') return text(value);
  if (typeof value === 'number') {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleBE(value);
    return Buffer.concat([control(TYPES.double, 8), bytes]);
  }
  const isLocation = value.has('latitude') && radiusKm !== undefined;
  const entries = [...value].flatMap(([name, member]) => [text(name), encode(member, radiusKm)]);
  if (isLocation) entries.push(text('accuracy_radius'), unsigned(TYPES.uint16, radiusKm));
  return Buffer.concat([control(TYPES.map, entries.length / 2), ...entries]);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([control(TYPES.string, bytes.length), bytes]);
}

function unsigned(type: number, value: number): Buffer {
  const bytes = Buffer.alloc(type === TYPES.uint16 ? 2 : 4);
  bytes.writeUIntBE(value, 0, bytes.length);
  return Buffer.concat([control(type, bytes.length), bytes]);
}

/** Sizes up to 28 fit into the control byte; none here is longer. */
function control(type: number, size: number): Buffer {
  if (size > 28) throw new Error('too long for this writer');
  return Buffer.from([(type << 5) | size]);
}
