/**
 * How characters are drawn; `hello_runtime.drawing` has the rule, and the same seed gives the
 * same text there and here.
 */

import { checkFinite } from "./tensors.mjs";

const MASK = (1n << 64n) - 1n;

/**
 * The n-th number of SplitMix64 from a seed, counted from 1; 0 <= u < 1.
 *
 * @param {bigint} seed
 * @param {number} number
 */
export function uniform(seed, number) {
  let z = (seed + BigInt(number) * 0x9e3779b97f4a7c15n) & MASK;
  z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK;
  z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & MASK;
  z ^= z >> 31n;
  return Number(z >> 11n) * 2 ** -53;
}

/**
 * The label that a number u draws: with a temperature of 0 that of the largest logit, and otherwise
 * the first whose sum of weights is larger than u times the sum of all.
 *
 * @param {Float32Array} logits
 * @param {number} u
 * @param {number} temperature
 * @param {number} [top] the number of the largest logits that count
 */
export function draw(logits, u, temperature, top = logits.length) {
  checkFinite(logits);
  const order = Array.from(logits.keys()).sort((a, b) => logits[b] - logits[a]); // it is stable
  if (temperature === 0) return order[0];
  const highest = logits[order[0]] / temperature;
  const weights = Array.from(logits, (logit) => Math.exp(logit / temperature - highest));
  order.slice(top).forEach((label) => { weights[label] = 0; });
  let sum = 0;
  const sums = weights.map((weight) => (sum += weight));
  return sums.findIndex((each) => each > u * sum);
}
