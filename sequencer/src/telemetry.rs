//! Prometheus metrics of this process. Names are `sequencer_<noun>_<unit>`.

use std::sync::OnceLock;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();

/// Installs the recorder of this process once; a process with several nodes has one set of metrics.
pub(crate) fn install() {
    HANDLE.get_or_init(|| {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        if ::metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("another metrics recorder is installed: /metrics will be empty");
        }
        ::metrics::describe_gauge!("sequencer_height", "height of the newest block");
        ::metrics::describe_gauge!(
            "sequencer_blocks_from",
            "height of the first block that was not pruned"
        );
        ::metrics::describe_counter!("sequencer_operations_total", "operations ordered");
        ::metrics::describe_counter!("sequencer_admissions_total", "submissions acknowledged");
        ::metrics::describe_histogram!(
            "sequencer_block_seconds",
            "time to build and store a block"
        );
        ::metrics::describe_counter!(
            "sequencer_proofs_accepted_total",
            "proofs verified and kept"
        );
        ::metrics::describe_counter!(
            "sequencer_proofs_rejected_total",
            "proofs that did not verify"
        );
        crate::base_layer::describe_metrics();
        crate::settling::describe_metrics();
        crate::network::describe_metrics();
        crate::observed::describe_metrics();
        crate::soft::describe_metrics();
        handle
    });
}

/// The text that Prometheus scrapes.
pub(crate) fn render() -> String {
    HANDLE.get().map_or_else(String::new, |handle| {
        handle.run_upkeep();
        handle.render()
    })
}
