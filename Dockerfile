FROM node:24-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --omit=optional --ignore-scripts && npm cache clean --force

FROM node:24-slim
ENV NODE_ENV=production \
    MILLRACE_STATE=/state \
    MILLRACE_CONTROL_HOST=0.0.0.0 \
    MILLRACE_CONTROL_PORT=8377
WORKDIR /app
RUN install --directory --owner=1000 --group=1000 /state /config
COPY --from=dependencies /app/node_modules node_modules
COPY package.json LICENSE ./
COPY bin bin
COPY src src
# The user "node" of the base image, by number, so that an orchestrator can tell that it is not root.
USER 1000:1000
VOLUME /state
EXPOSE 8377
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.MILLRACE_CONTROL_PORT}/livez`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "--max-semi-space-size=4", "--initial-old-space-size=32", "--heap-growing-percent=30", "/app/bin/millrace"]
CMD ["run", "--config", "/config/millrace.yaml"]
