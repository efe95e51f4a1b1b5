// One line a step; the first thing that is not as it should be ends the script with 1.

import { isDeepStrictEqual } from "node:util";

export function step(name, holds = true, shown = undefined) {
    console.log(holds ? `ok   ${name}` : `FAIL ${name}: ${JSON.stringify(shown)}`);
    if (!holds) process.exit(1);
}

export function same(name, found, wanted) {
    step(name, isDeepStrictEqual(found, wanted), { found, wanted });
}

/** The error that some work ends in; null when it does not. */
export async function refusal(work) {
    try {
        await work();
        return null;
    } catch (error) {
        return error;
    }
}
