/** What a client is told of a model's failure: a code and a sentence of ours. The provider's own words stay here. */
export interface ChatError {
  readonly code: string;
  readonly message: string;
}

const FAILED: ChatError = { code: "PROVIDER_FAILED", message: "The model failed to answer. Try again." };

const BY_STATUS: ReadonlyMap<unknown, ChatError> = new Map([
  [401, { code: "PROVIDER_AUTH", message: "The model's provider refused this server's key." }],
  [403, { code: "PROVIDER_AUTH", message: "The model's provider refused this server's key." }],
  [404, { code: "PROVIDER_MODEL", message: "The model's provider does not know the model that is set." }],
  [
    429,
    {
      code: "PROVIDER_BUSY",
      message: "The model's provider is busy, or a quota is used up. Try again later.",
    },
  ],
]);

/** Provider SDKs put the answer's status on the errors they throw. */
export function explain(error: unknown): ChatError {
  const status = typeof error === "object" && error !== null && "status" in error ? error.status : undefined;
  return BY_STATUS.get(status) ?? FAILED;
}
