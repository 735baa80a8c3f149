// OpenAI's JavaScript client: every case prints one line of JSON, `{case, …}`.
import OpenAI from "openai";
import { KEY, MODEL, SCHEMA, URL, documentData, image, parameters, report } from "./case.mjs";

const client = new OpenAI({ baseURL: `${URL}/v1`, apiKey: KEY, maxRetries: 0 });
const messages = [{ role: "user", content: "Hello" }];
const tools = [{ type: "function", function: { name: "get_weather", parameters } }];

function countsOf(usage) {
  return { usage: usage.total_tokens, cached: usage.prompt_tokens_details.cached_tokens };
}

function resultsOf(calls) {
  return calls.map((call) => ({ role: "tool", tool_call_id: call.id, content: "sunny" }));
}

await report("plain", async () => {
  const answer = await client.chat.completions.create({ model: MODEL, messages });
  return { text: answer.choices[0].message.content, ...countsOf(answer.usage) };
});

await report("streamed", async () => {
  const options = { model: MODEL, messages, stream: true, stream_options: { include_usage: true } };
  let text = "";
  let usage = null;
  for await (const chunk of await client.chat.completions.create(options)) {
    text += chunk.choices[0]?.delta?.content ?? "";
    usage = chunk.usage ?? usage;
  }
  return { text, ...countsOf(usage) };
});

await report("tools", async () => {
  const options = { model: MODEL, tools };
  const stream = client.chat.completions.stream({ ...options, messages });
  const asked = (await stream.finalChatCompletion()).choices[0].message;
  const turns = [...messages, asked, ...resultsOf(asked.tool_calls)];
  const answer = await client.chat.completions.create({ ...options, messages: turns });
  return {
    cities: asked.tool_calls.map((call) => JSON.parse(call.function.arguments).city),
    text: answer.choices[0].message.content,
  };
});

await report("structure", async () => {
  const response_format = {
    type: "json_schema",
    json_schema: { name: "answer", schema: SCHEMA, strict: true },
  };
  const options = { model: MODEL, messages, response_format };
  const whole = await client.chat.completions.parse(options);
  const streamed = await client.chat.completions.stream(options).finalChatCompletion();
  return {
    whole: JSON.parse(whole.choices[0].message.content),
    streamed: JSON.parse(streamed.choices[0].message.content),
  };
});

await report("files", async () => {
  const file_data = `data:application/pdf;base64,${documentData}`;
  const content = [
    { type: "text", text: "What are they?" },
    { type: "image_url", image_url: { url: image } },
    { type: "file", file: { filename: "a.pdf", file_data } },
  ];
  const options = { model: MODEL, messages: [{ role: "user", content }] };
  return { text: (await client.chat.completions.create(options)).choices[0].message.content };
});

await report("thoughts", async () => {
  const options = { model: MODEL, tools, reasoning_effort: "high", max_completion_tokens: 30000 };
  const asked = (await client.chat.completions.create({ ...options, messages })).choices[0].message;
  const turns = [...messages, asked, ...resultsOf(asked.tool_calls)];
  const answer = await client.chat.completions.create({ ...options, messages: turns });
  return { thought: asked.reasoning_content, text: answer.choices[0].message.content };
});

await report("responses", async () => {
  const stream = client.responses.stream({ model: MODEL, input: "Hello" });
  const kinds = [];
  for await (const event of stream) kinds.push(event.type);
  const whole = await client.responses.create({ model: MODEL, input: "Hello" });
  return {
    text: (await stream.finalResponse()).output_text,
    whole: whole.output_text,
    last: kinds.at(-1),
  };
});

await report("response tools", async () => {
  const options = {
    model: MODEL,
    tools: [{ type: "function", name: "get_weather", parameters, strict: true }],
    reasoning: { effort: "high" },
    include: ["reasoning.encrypted_content"],
    max_output_tokens: 30000,
    store: false,
  };
  const stream = client.responses.stream({ ...options, input: messages });
  for await (const event of stream) void event;
  const { output } = await stream.finalResponse();
  const calls = output.filter((item) => item.type === "function_call");
  const results = calls.map(({ call_id }) => ({
    type: "function_call_output",
    call_id,
    output: "sunny",
  }));
  const input = [...messages, ...output, ...results];
  const answer = await client.responses.create({ ...options, input });
  return {
    cities: calls.map((call) => JSON.parse(call.arguments).city),
    thought: output.find((item) => item.type === "reasoning").summary[0].text,
    text: answer.output_text,
  };
});

await report("completions", async () => {
  const options = { model: MODEL, prompt: "Tell" };
  let text = "";
  for await (const chunk of await client.completions.create({ ...options, stream: true })) {
    text += chunk.choices[0].text;
  }
  return { text, whole: (await client.completions.create(options)).choices[0].text };
});

await report("error", async () => {
  await client.chat.completions.create({ model: MODEL, messages });
});

await report("stop", async () => {
  const answer = await client.chat.completions.create({ model: MODEL, messages });
  return { reason: answer.choices[0].finish_reason };
});

await report("broken", async () => {
  const stream = await client.chat.completions.create({ model: MODEL, messages, stream: true });
  for await (const chunk of stream) void chunk;
});

await report("left", async () => {
  const stream = await client.chat.completions.create({ model: MODEL, messages, stream: true });
  for await (const chunk of stream) return { text: typeof chunk.choices[0].delta };
});

await report("vectors", async () => {
  const { data } = await client.embeddings.create({
    model: process.env.EMBEDDER,
    input: ["sea", "sky"],
  });
  return { lengths: data.map(({ embedding }) => embedding.length) };
});

await report("models", async () => {
  const names = [];
  for await (const { id } of client.models.list()) names.push(id);
  return { names, one: (await client.models.retrieve(MODEL)).id };
});

await report("missing", async () => {
  await client.chat.completions.create({ model: "no-such/model", messages, stream: true });
});
