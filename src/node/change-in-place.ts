/** Gives an object that others hold the values of another one of its shape, objects within it included. */
export function changeInPlace<Shape extends object>(target: Shape, values: Shape): void {
  for (const key of Object.keys(values) as (keyof Shape)[]) {
    const [before, after] = [target[key], values[key]];
    if (isObject(before) && isObject(after)) changeInPlace(before, after);
    else target[key] = after;
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
