import assert from 'node:assert/strict';
import {
  createNetworks,
  isPublicAddress,
  parseAddress,
  neighbourhoodOf,
  networkOf,
} from '../../src/lib/networks.ts';

function address(text: string) {
  const parsed = parseAddress(text);
  assert.ok(parsed, text);
  return parsed;
}

describe('an address', () => {
  for (const text of [
    '',
    '1',
    '127.1',
    '0x7f.0.0.1',
    '0177.0.0.1',
    '127.0.0.1 ',
    'localhost',
    '::g',
    '1.2.3.4.5',
  ])
    it(`is not ${JSON.stringify(text)}`, () => {
      assert.equal(parseAddress(text), undefined);
    });

  it('that is IPv4-mapped is the IPv4 address', () => {
    assert.equal(address('::ffff:10.0.0.1').toString(), '10.0.0.1');
    assert.equal(address('::ffff:0a00:0001').toString(), '10.0.0.1');
  });

  it('has one spelling', () => {
    assert.equal(address('2001:DB8:0:0:0:0:0:1').toString(), '2001:db8::1');
  });

  for (const text of ['1.1.1.1', '93.184.216.34', '2606:4700:4700::1111', '::ffff:1.1.1.1'])
    it(`is public: ${text}`, () => {
      assert.equal(isPublicAddress(address(text)), true);
    });
});

describe('networks', () => {
  const networks = createNetworks(['10.0.0.0/8', '192.0.2.7/32', 'fd00::/8']);

  for (const [text, expected] of [
    ['10.255.255.255', true],
    ['11.0.0.0', false],
    ['192.0.2.7', true],
    ['192.0.2.8', false],
    ['fd12::1', true],
    ['fe00::1', false],
    ['::ffff:10.0.0.1', true],
  ] as const) {
    it(`${expected ? 'include' : 'do not include'} ${text}`, () => {
      assert.equal(networks.includes(address(text)), expected);
    });
  }

  it('include nothing when there are none', () => {
    assert.equal(createNetworks([]).includes(address('127.0.0.1')), false);
  });
});

describe('the network of an address', () => {
  const networks: [address: string, network: string][] = [
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::1', '2001:db8:1:2::/64'],
    ['2001:0DB8:0001:2::1', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:db8:0:0:1::', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['0:0:0:0:0:ffff:c000:201', '192.0.2.1'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['nonsense', 'nonsense'],
    ['no:address', 'no:address'],
    ['', ''],
  ];
  for (const [address, network] of networks) {
    it(`${address || 'nothing'} is ${network || 'nothing'}`, () => assert.equal(networkOf(address), network));
  }
});

describe('the network that an address moves about in', () => {
  for (const [address, network] of [
    ['192.0.2.77', '192.0.2.0/24'],
    ['::ffff:192.0.2.77', '192.0.2.0/24'],
    ['2001:db8:1:2::3', '2001:db8:1::/48'],
    ['fe80::1%eth0', 'fe80::/48'],
    ['::1', '::/48'],
    ['nonsense', undefined],
    ['', undefined],
    [undefined, undefined],
  ] as const) {
    it(`is ${network ?? 'none'} of ${address || 'nothing'}`, () =>
      assert.equal(neighbourhoodOf(address), network));
  }
});
