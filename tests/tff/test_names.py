# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Every name of TFF is here, or says what to use instead; and the page about them says the same."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import foedus.tff as tff
from foedus.tff._absent import Absent
from foedus.tff._names import page, rows

ROOT = Path(__file__).parents[2]
ROWS = list(rows(tff, "tff"))

NAMES = """
tff: AbstractType CLIENTS Computation FederatedType FunctionType PlacementType SERVER SequenceType StructType
    StructWithPythonType TensorType Type Value federated_aggregate federated_apply federated_broadcast
    federated_collect federated_computation federated_eval federated_map federated_max federated_mean
    federated_min federated_reduce federated_secure_select federated_secure_sum federated_secure_sum_bitwidth
    federated_select federated_sum federated_value federated_zip jax_computation sequence_map sequence_reduce
    sequence_sum tf_computation to_type to_value type_at_clients type_at_server utils install
tff.types: AbstractType FederatedType FunctionType PlacementType SequenceType StructType StructWithPythonType
    TensorType Type at_clients at_server to_type tensorflow_to_type serialize_type deserialize_type
    TypeNotAssignableError TypesNotEquivalentError UnexpectedTypeError
tff.tensorflow: computation to_type transform_args transform_result type_to_tf_tensor_specs
    structure_from_tensor_type_tree replace_intrinsics_with_bodies optimize_tensorflow_graphs
    transform_tf_add_ids transform_tf_call_ops_to_disable_grappler
tff.jax: computation
tff.structure: Struct flatten from_container has_field is_same_structure iter_elements map_structure name_list
    name_list_with_nones pack_sequence_as to_container_recursive to_elements to_odict to_odict_or_tuple
    update_struct
tff.templates: IterativeProcess MeasuredProcess MeasuredProcessOutput AggregationProcess EstimationProcess
    chain_measured_processes concatenate_measured_processes TemplateInitFnParamNotEmptyError
    TemplateStateNotAssignableError TemplateNotMeasuredProcessOutputError TemplateNextFnNumArgsError
    TemplateNotFederatedError TemplatePlacementError AggregationNotFederatedError AggregationPlacementError
    EstimateNotAssignableError
tff.aggregators: UnweightedAggregationFactory WeightedAggregationFactory AggregationFactory SumFactory
    MeanFactory UnweightedMeanFactory as_weighted_aggregator concat_factory clipping_factory zeroing_factory
    PrivateQuantileEstimationProcess SecureSumFactory SecureModularSumFactory secure_quantized_sum
    DifferentiallyPrivateFactory extract_dp_event_from_state federated_sample
    UnweightedReservoirSamplingFactory HadamardTransformFactory DiscreteFourierTransformFactory
    add_measurements EncodedSumFactory EliasGammaEncodedSumFactory entropy_compression_aggregator
    DistributedDpSumFactory ZeroingFactory ClippingFactory federated_min federated_max
tff.learning: ClientWeighting LoopImplementation robust_aggregator dp_aggregator secure_aggregator
    add_debug_measurements add_debug_measurements_with_mixed_dtype compression_aggregator
    ddp_secure_aggregator framework reconstruction from_keras_model Model ModelWeights BatchOutput
    build_federated_averaging_process build_federated_evaluation build_federated_sgd_process
    build_personalization_eval build_local_evaluation state_with_new_model_weights
tff.learning.algorithms: build_weighted_fed_avg build_unweighted_fed_avg
    build_weighted_fed_avg_with_optimizer_schedule build_weighted_fed_prox build_unweighted_fed_prox
    build_fed_sgd build_weighted_mime_lite build_unweighted_mime_lite build_mime_lite_with_optimizer_schedule
    build_fed_eval build_fed_multi_model_eval build_fed_multi_model_eval_from_processes build_fed_kmeans
    build_personalization_eval_computation build_fed_recon build_fed_recon_eval
tff.learning.models: VariableModel BatchOutput from_keras_model FunctionalModel functional_model_from_keras
    model_from_functional keras_model_from_functional_weights ModelWeights weights_type_from_model save load
    save_functional_model load_functional_model ReconstructionModel
tff.learning.optimizers: Optimizer LEARNING_RATE_KEY build_sgdm build_adam build_adamw build_adagrad
    build_rmsprop build_yogi build_adafactor schedule_learning_rate check_weights_gradients_match
    handle_indexed_slices_gradients
tff.learning.metrics: sum_then_finalize secure_sum_then_finalize finalize_then_sample SumThenFinalizeFactory
    SecureSumFactory FinalizeThenSampleFactory create_default_secure_sum_quantization_ranges
    create_keras_metric_finalizer create_functional_metric_fns NumExamplesCounter NumBatchesCounter
tff.learning.templates: LearningProcess LearningProcessOutput LearningAlgorithmState compose_learning_process
    DistributionProcess build_broadcast_process ClientWorkProcess ClientResult build_model_delta_client_work
    build_functional_model_delta_client_work FinalizerProcess build_apply_optimizer_finalizer
    reject_non_finite_update
tff.learning.programs: train_model ProgramState EvaluationManager extract_and_rewrap_metrics
tff.analytics: count_distinct data_processing differential_privacy histogram_processing IbltFactory
    heavy_hitters build_hierarchical_histogram_computation build_hierarchical_histogram_process
    HierarchicalHistogramDecoder
tff.program: FederatedDataSource FederatedDataSourceIterator DatasetDataSource ClientIdDataSource
    PrefetchingDataSource ReleaseManager LoggingReleaseManager MemoryReleaseManager FilteringReleaseManager
    GroupingReleaseManager PeriodicReleaseManager DelayedReleaseManager CSVFileReleaseManager
    SavedModelFileReleaseManager TensorBoardReleaseManager ReleasedValueNotFoundError
    CSVKeyFieldnameNotFoundError ProgramStateManager FileProgramStateManager ProgramStateExistsError
    ProgramStateNotFoundError FederatedContext NativeFederatedContext NativeValueReference materialize_value
    check_in_federated_context contains_only_server_placed_data
tff.simulation: run_training_process build_uniform_sampling_fn build_uniform_client_sampling_fn
    compose_dataset_computation_with_computation compose_dataset_computation_with_iterative_process
    compose_dataset_computation_with_learning_process baselines models ClientData HDF5ClientData
    FromTensorSlicesClientData run_simulation FileCheckpointManager CSVMetricsManager TensorBoardManager
    server_utils
tff.simulation.datasets: ClientData TestClientData SqlClientData FilePerUserClientData
    TransformingClientData load_and_parse_sql_client_data save_to_sql_client_data build_dataset_mixture
    build_single_label_dataset build_synthethic_iid_datasets cifar100 stackoverflow celeba gldv2 inaturalist
    flair
tff.simulation.datasets.emnist: load_data get_synthetic
tff.simulation.datasets.shakespeare: load_data
tff.backends.native: create_sync_local_cpp_execution_context set_sync_local_cpp_execution_context
    create_async_local_cpp_execution_context set_async_local_cpp_execution_context
    create_mergeable_comp_execution_context set_mergeable_comp_execution_context set_local_execution_context
    set_local_python_execution_context desugar_and_transform_to_native transform_to_native_form
    compile_to_mergeable_comp_form create_sync_remote_cpp_execution_context
    set_sync_remote_cpp_execution_context set_remote_python_execution_context
tff.backends.test: create_sync_test_cpp_execution_context set_sync_test_cpp_execution_context
    create_async_test_cpp_execution_context set_async_test_cpp_execution_context
    replace_secure_intrinsics_with_bodies
tff.backends.mapreduce: MapReduceForm DistributeAggregateForm BroadcastForm CanonicalForm
    check_computation_compatible_with_map_reduce_form get_map_reduce_form_for_computation
    get_computation_for_map_reduce_form get_distribute_aggregate_form_for_computation
    get_computation_for_distribute_aggregate_form get_broadcast_form_for_computation
    get_computation_for_broadcast_form get_state_initialization_computation
    consolidate_and_extract_local_processing parse_tff_to_tf federated_secure_modular_sum
    get_canonical_form_for_iterative_process
tff.framework: Type TypeNotAssignableError TypesNotEquivalentError UnexpectedTypeError serialize_computation
    deserialize_computation serialize_type deserialize_type set_default_context get_context_stack
    to_call_dominant MergeableCompExecutionContext MergeableCompForm local_cpp_executor_factory
    ResourceManagingExecutorFactory RemoteExecutor RemoteExecutorGrpcStub RemoteExecutorStub serialize_value
    deserialize_value set_default_executor type_to_tf_tensor_specs
tff.test: TestCase assert_types_equivalent
"""


def inventory() -> list[str]:
    """The names of TFF, as its documentation has had them from 2021 to today."""
    found: list[str] = []
    namespace = ""
    for word in NAMES.split():
        if word.endswith(":"):
            namespace = word[:-1]
        else:
            found.append(f"{namespace}.{word}")
    return found


def test_every_name_is_there():
    there = {row.path for row in ROWS}
    assert [name for name in inventory() if name not in there] == []


def test_the_page_says_what_the_modules_say():
    written = (ROOT / "docs" / "tff.md").read_text(encoding="utf-8")
    assert written == page(tff), "run python tools/tff_page.py"


def test_names_that_are_not_here_say_so():
    absent = [row for row in ROWS if not row.here]
    assert absent
    for row in absent:
        thing = tff
        for part in row.path.split(".")[1:]:
            thing = getattr(thing, part)
        assert isinstance(thing, Absent)
        assert thing.name == row.path
        with pytest.raises(NotImplementedError) as caught:
            thing(1, x=2)
        assert str(caught.value) == f"foedus.tff has nothing behind the name {row.path}: {row.note}"
        with pytest.raises(NotImplementedError):
            print(thing.something)
        with pytest.raises(NotImplementedError):
            type("Own", thing.__mro_entries__(()), {})
        assert not hasattr(thing, "_private")
        assert row.path in repr(thing)


def in_a_new_process(program: str, **environment: str) -> list[str]:
    """The lines that a program prints without a choice of Keras' backend."""
    own = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"} | environment
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=False, env=own
    )
    return [*done.stdout.splitlines(), *done.stderr.splitlines()[-6:]]


def test_the_names_of_the_real_packages():
    program = """
        import foedus.tff
        foedus.tff.install()
        foedus.tff.install()
        import tensorflow_federated as tff
        import federated_language
        from tensorflow_federated.simulation.datasets import emnist
        import tensorflow_federated.learning.optimizers as optimizers
        print(tff is foedus.tff is federated_language)
        print(emnist.load_data.__module__, optimizers.LEARNING_RATE_KEY)
        """
    assert in_a_new_process(program) == ["True", "foedus.tff.simulation.datasets.emnist learning_rate"]


def test_the_real_packages_are_left_alone():
    program = """
        import sys, types
        sys.modules["federated_language"] = types.ModuleType("federated_language")
        import foedus.tff
        foedus.tff.install()
        """
    assert in_a_new_process(program)[-4:] == [
        "foedus.errors.EnvironmentMismatchError: "
        "The real federated_language is imported already, and its name cannot be given to another package",
        "  found     federated_language",
        "  at        <string>:5",
        "  hint      call foedus.tff.install() before anything imports it",
    ]


@pytest.mark.parametrize(
    ("before", "environment", "found"),
    [
        ("", {}, "tensorflow"),
        ("", {"KERAS_BACKEND": "jax"}, "jax"),
        ("import sys, types; sys.modules['keras'] = types.ModuleType('keras')", {}, "None"),
    ],
)
def test_the_backend_of_keras(before: str, environment: dict[str, str], found: str):
    program = f"{before}\nimport os, foedus.tff\nprint(os.environ.get('KERAS_BACKEND'))"
    assert in_a_new_process(program, **environment) == [found]


def test_importing_it_imports_no_framework_of_its_extras():
    program = """
        import sys, foedus.tff
        print(sorted({"tensorflow", "keras"} & set(sys.modules)))
        """
    assert in_a_new_process(program) == ["[]"]
